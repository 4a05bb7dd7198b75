/** Who makes and revokes the tokens of users, and sets their quotas, with AUTH_TOKEN. */
import { setTimeout as delay } from 'node:timers/promises';
import type { QuotaKind, QuotaOwner } from '../../src/domain/quota.ts';
import { type ClientDeps, untilAnswered } from './attempts.ts';
import { attempt, type Request } from './calls.ts';

export interface NewToken {
  readonly id: string;
  readonly secret: string;
}

/** The values of `CreateTokenInput`. */
export interface TokenWish {
  readonly name: string;
  readonly role: 'TENANT' | 'USER';
  readonly tenant: string;
  readonly userUuid?: string;
  readonly userPrefix?: string;
  /** The only wire. */
  readonly door?: string;
}

/** Which quota. */
export interface QuotaName extends QuotaOwner {
  readonly kind: QuotaKind;
}

export interface Operator {
  /** Each throws if no gateway has answered within the limit of a call, or if the signal is aborted. */
  createToken(wish: TokenWish): Promise<NewToken>;
  revokeToken(id: string): Promise<void>;
  /** @param limit null: none */
  setQuota(quota: QuotaName, limit: number | null): Promise<void>;
  /** Lets the setting hold again. */
  resetQuota(quota: QuotaName): Promise<void>;
  /** Resolves when it serves sessions. Throws, too, if it cannot be built. */
  createEnvironment(wish: EnvironmentWish): Promise<void>;
}

/** The values of `CreateEnvironmentInput`. */
export interface EnvironmentWish {
  readonly name: string;
  readonly setup: string;
}

const CREATE = `mutation Create($input: CreateTokenInput!) {
  done: createToken(input: $input) { secret token { id } } }`;
const REVOKE = 'mutation Revoke($id: ID!) { done: revokeToken(id: $id) { id } }';
const SET_QUOTA =
  'mutation Set($input: SetQuotaInput!) { done: setQuota(input: $input) { limit } }';

const CREATE_ENVIRONMENT = `mutation Create($input: CreateEnvironmentInput!) {
  done: createEnvironment(input: $input) { name } }`;
const BUILT =
  'query Built($name: String!) { done: environment(name: $name) { state failure lastLines } }';
const BUILD_LOOK_MS = 250;

export function createOperator(deps: ClientDeps): Operator {
  async function call<Answer>(request: Request<Answer>): Promise<Answer> {
    const { answer, refusal, failures } = await untilAnswered(deps, (url, token, signal) =>
      attempt(url, token, request, signal),
    );
    if (answer === null) throw new Error(`${refusal ?? JSON.stringify(failures)}`);
    return answer;
  }
  return {
    createToken: (input) =>
      call({
        query: CREATE,
        variables: { input },
        answerOf: ({ done }) => {
          const { secret, token } = done as { secret: string; token: { id: string } };
          return { id: token.id, secret };
        },
      }),
    revokeToken: async (id) => {
      await call({ query: REVOKE, variables: { id }, answerOf: () => true });
    },
    setQuota: async (quota, limit) => {
      await call(setQuota({ ...quota, limit }));
    },
    resetQuota: async (quota) => {
      await call(setQuota({ ...quota, reset: true }));
    },
    createEnvironment: async (input) => {
      await call({ query: CREATE_ENVIRONMENT, variables: { input }, answerOf: () => true });
      const built = { query: BUILT, variables: { name: input.name }, answerOf };
      for (;;) {
        const { state, failure, lastLines } = await call(built);
        if (state === 'READY') return;
        if (state === 'FAILED') throw new Error(`${failure}\n${lastLines}`);
        await delay(BUILD_LOOK_MS, undefined, { signal: deps.signal });
      }
    },
  };
}

interface Built {
  readonly state: string;
  readonly failure: string | null;
  readonly lastLines: string | null;
}

function answerOf({ done }: Readonly<Record<string, unknown>>): Built {
  return done as Built;
}

function setQuota(input: object): Request<true> {
  return { query: SET_QUOTA, variables: { input }, answerOf: () => true };
}
