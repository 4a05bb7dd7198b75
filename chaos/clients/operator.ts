/** Who makes and revokes the tokens of users, with AUTH_TOKEN. */
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
}

export interface Operator {
  /** Each throws if no gateway has answered within the limit of a call, or if the signal is aborted. */
  createToken(wish: TokenWish): Promise<NewToken>;
  revokeToken(id: string): Promise<void>;
}

const CREATE = `mutation Create($input: CreateTokenInput!) {
  done: createToken(input: $input) { secret token { id } } }`;
const REVOKE = 'mutation Revoke($id: ID!) { done: revokeToken(id: $id) { id } }';

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
  };
}
