/** The operator has AUTH_TOKEN, makes and revokes the tokens of users, and sets their quotas. */

import { setTimeout as delay } from 'node:timers/promises';
import { pause } from '../../src/async/pause.ts';
import type { QuotaKind, QuotaOwner } from '../../src/domain/quota.ts';
import type { Wire } from '../history.ts';
import type { Random } from '../random.ts';
import { type Attempt, type ClientDeps, type Credentials, untilAnswered } from './attempts.ts';
import { attempt, type Request } from './calls.ts';

// Raises and lowers quotas with `setQuota`, at any gateway, while users act and the nemesis causes faults.

const PAUSE_MEAN_MS = 1_500;
/** At most this many quotas differ from their settings, so that most users can do something at any time. */
const MAX_CHANGED = 6;

/** A quota that is changed, and the limits that it may get. Null: no limit. */
export interface QuotaChoice {
  readonly quota: QuotaName;
  readonly limits: readonly (number | null)[];
}

interface ChangeDeps {
  readonly operator: Pick<Operator, 'setQuota' | 'resetQuota'>;
  readonly quotas: readonly QuotaChoice[];
  readonly random: Random;
}

/**
 * Changes quotas until `signal` is aborted, and then resets all of them. Resolves with the changes that could not be
 * made.
 */
export async function changeQuotas(
  { operator, quotas, random }: ChangeDeps,
  signal: AbortSignal,
): Promise<string[]> {
  /** The oldest change is the first. */
  const changed = new Set<QuotaName>();
  const failures: string[] = [];

  async function attempt(work: Promise<void>): Promise<void> {
    await work.catch((error: unknown) => failures.push(`quota: ${String(error)}`));
  }

  async function reset(quota: QuotaName): Promise<void> {
    changed.delete(quota);
    await attempt(operator.resetQuota(quota));
  }

  async function set({ quota, limits }: QuotaChoice): Promise<void> {
    changed.delete(quota);
    changed.add(quota);
    await attempt(operator.setQuota(quota, random.pick(limits) ?? null));
  }

  while (!signal.aborted) {
    await pause(random.waitMs(PAUSE_MEAN_MS), signal);
    const choice = random.pick(quotas);
    if (signal.aborted || !choice) break;
    await set(choice);
    const [oldest] = changed;
    if (oldest && changed.size > MAX_CHANGED) await reset(oldest);
  }
  for (const quota of changed) await reset(quota);
  return failures;
}

// The token of one user, which is replaced again and again.

const TENANTS = ['default', 'acme', 'globex'] as const;
/** How many kinds of tokens there are. */
const KINDS = 3;

export interface Access extends Credentials {
  /** Gives the user another token, and then revokes the former one. Resolves with the secret of the revoked token. */
  replace(): Promise<string>;
}

/** @param index the user's number, which determines the tenant and the kind of token */
export async function createAccess(
  operator: Operator,
  user: string,
  index: number,
): Promise<Access> {
  return await accessFor(operator, wishOf(user, index));
}

/**
 * Access for the one user of a door. The user and the tenant have the door's name. The tenant has no other user,
 * because its quotas are too tight for more.
 */
export async function createDoorAccess(operator: Operator, door: Wire): Promise<Access> {
  const only = { userUuid: door, door: door.toUpperCase() };
  const wish = { name: door, tenant: door, role: 'USER', ...only } as const;
  return await accessFor(operator, wish);
}

async function accessFor(operator: Operator, wish: TokenWish): Promise<Access> {
  let current = await operator.createToken(wish);
  return {
    get token() {
      return current.secret;
    },
    replace: async () => {
      const former = current;
      current = await operator.createToken(wish);
      await operator.revokeToken(former.id);
      return former.secret;
    },
  };
}

/** The name of the user with this number. */
export function userName(index: number): string {
  return `user${index}`;
}

/** The tenant of the user with this number. With enough users, each tenant has users with each kind of token. */
export function tenantOf(index: number): string {
  return TENANTS[(index + Math.floor(index / KINDS)) % TENANTS.length] ?? '';
}

function wishOf(user: string, index: number): TokenWish {
  const kinds = [
    { role: 'USER', userUuid: user },
    { role: 'USER', userPrefix: user },
    { role: 'TENANT' },
  ] as const;
  const kind = kinds[index % KINDS];
  if (!kind) throw new RangeError(`No user has the number ${index}.`);
  return { name: user, tenant: tenantOf(index), ...kind };
}

// The environments of a run, and the sessions of users in them.

/** Their builds need no network. */
export const ENVIRONMENTS = [
  { name: 'science', setup: 'printf science > /usr/local/share/which' },
  { name: 'art', setup: 'printf art > /usr/local/share/which' },
] as const;

const OPEN = 'mutation Open($input: OpenSessionInput!) { done: openSession(input: $input) { id } }';

/** The environment of the user with this number. Null: none. */
export function environmentOf(index: number): string | null {
  return [null, ...ENVIRONMENTS.map(({ name }) => name)][index % (1 + ENVIRONMENTS.length)] ?? null;
}

/** Opens the user's session in the environment. It may be repeated. */
export function opening(userUuid: string, environment: string): Attempt<unknown> {
  const request = {
    query: OPEN,
    variables: { input: { userUuid, environment } },
    answerOf: ({ done }: Readonly<Record<string, unknown>>) => done,
  };
  return async (url, token, signal) => {
    const outcome = await attempt(url, token, request, signal);
    // A session without this environment is open. An earlier call, whose answer did not arrive, has opened it.
    const isOpen = 'failure' in outcome && outcome.failure === 'SESSION_OPTIONS_DIFFER';
    return isOpen ? { answer: null } : outcome;
  };
}

interface NewToken {
  readonly id: string;
  readonly secret: string;
}

/** The values of `CreateTokenInput`. */
interface TokenWish {
  readonly name: string;
  readonly role: 'TENANT' | 'USER';
  readonly tenant: string;
  readonly userUuid?: string;
  readonly userPrefix?: string;
  /** The only door that the token is for, as the schema names it. */
  readonly door?: string;
}

/** Names a quota. */
export interface QuotaName extends QuotaOwner {
  readonly kind: QuotaKind;
}

export interface Operator {
  /** Like all calls here, throws if no gateway answers within the limit of a call, or if the signal is aborted. */
  createToken(wish: TokenWish): Promise<NewToken>;
  revokeToken(id: string): Promise<void>;
  /** @param limit null: none */
  setQuota(quota: QuotaName, limit: number | null): Promise<void>;
  /** Makes the setting apply again. */
  resetQuota(quota: QuotaName): Promise<void>;
  /** Resolves when the environment serves sessions. Also throws if the environment cannot be built. */
  createEnvironment(wish: EnvironmentWish): Promise<void>;
}

/** The values of `CreateEnvironmentInput`. */
interface EnvironmentWish {
  readonly name: string;
  readonly setup: string;
}

const CREATE = `mutation Create($input: CreateTokenInput!) {
  done: createToken(input: $input) { secret token { id } } }`;
const REVOKE = 'mutation Revoke($id: ID!) { done: revokeToken(input: { id: $id }) { id } }';
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
