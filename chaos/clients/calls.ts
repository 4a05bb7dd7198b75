/** The calls of a careful client. Those that run code carry an idempotency key, so repeating them is always safe. */
import { type CallAnswer, type CallRecord, compact } from '../history.ts';
import { type ClientDeps, type Outcome, untilAnswered } from './attempts.ts';
import type { Cell } from './cells.ts';

/** Codes of errors after which repeating the call is useless. */
const FINAL_CODES = ['BAD_USER_INPUT', 'IDEMPOTENCY_CONFLICT', 'NOT_FOUND', 'UNAUTHENTICATED'];

export interface CallsDeps extends ClientDeps {
  readonly record: (call: CallRecord) => void;
}

export interface Calls {
  /** Each call resolves with its record. It throws only if the signal is aborted. */
  execute(user: string, cell: Cell): Promise<CallRecord>;
  submit(user: string, cell: Cell): Promise<CallRecord>;
  interrupt(user: string, executionId: string): Promise<CallRecord>;
  release(user: string): Promise<CallRecord>;
  restartKernel(user: string): Promise<CallRecord>;
}

type Wish = Pick<CallRecord, 'user' | 'operation' | 'cell' | 'key' | 'executionId'>;

interface Request {
  readonly query: string;
  readonly variables: Readonly<Record<string, unknown>>;
  readonly answerOf: (data: Readonly<Record<string, unknown>>) => CallAnswer;
}

const EXECUTION = '{ id status stateLost stdout resultText }';

export function createCalls(deps: CallsDeps): Calls {
  const run = (operation: 'execute' | 'submit', user: string, cell: Cell) =>
    call(
      deps,
      { user, operation, cell: cell.kind, key: cell.key, executionId: null },
      {
        query: `mutation Run($input: ExecuteInput!) { done: ${operation}(input: $input) ${EXECUTION} }`,
        variables: {
          input: {
            userUuid: user,
            code: cell.code,
            timeoutMs: cell.timeoutMs,
            idempotencyKey: cell.key,
          },
        },
        answerOf: executionAnswer,
      },
    );
  const wish = (user: string, operation: Wish['operation'], executionId: string | null = null) => ({
    user,
    operation,
    cell: null,
    key: null,
    executionId,
  });
  return {
    execute: (user, cell) => run('execute', user, cell),
    submit: (user, cell) => run('submit', user, cell),
    interrupt: (user, id) =>
      call(deps, wish(user, 'interrupt', id), {
        query: `mutation Interrupt($id: ID!) { done: interrupt(executionId: $id) ${EXECUTION} }`,
        variables: { id },
        answerOf: executionAnswer,
      }),
    release: (user) =>
      call(deps, wish(user, 'release'), {
        query: `mutation Release($user: String!) {
          done: release(input: { userUuid: $user }) { released session { id } } }`,
        variables: { user },
        answerOf: ({ done }) => {
          const { released, session } = done as { released: boolean; session: Named | null };
          return { ...NO_OUTPUT, id: session?.id ?? null, status: released ? 'released' : null };
        },
      }),
    restartKernel: (user) =>
      call(deps, wish(user, 'restartKernel'), {
        query: `mutation Restart($user: String!) { done: restartKernel(userUuid: $user) { id } }`,
        variables: { user },
        answerOf: ({ done }) => ({ ...NO_OUTPUT, id: (done as Named).id, status: null }),
      }),
  };
}

type Named = { readonly id: string };
const NO_OUTPUT = { stateLost: false, stdout: '', result: null };

function executionAnswer({ done }: Readonly<Record<string, unknown>>): CallAnswer {
  const execution = done as CallAnswer & { readonly resultText: string | null };
  const { id, status, stateLost, stdout, resultText } = execution;
  const result = resultText?.slice(stdout.length) || null;
  return { id, status, stateLost, stdout: compact(stdout), result };
}

async function call(deps: CallsDeps, wish: Wish, request: Request): Promise<CallRecord> {
  const answered = await untilAnswered(deps, (url, signal) =>
    attempt(url, deps.token, request, signal),
  );
  const record = { ...wish, ...answered };
  deps.record(record);
  return record;
}

async function attempt(
  url: string,
  token: string,
  { query, variables, answerOf }: Request,
  signal: AbortSignal,
): Promise<Outcome<CallAnswer>> {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'X-Auth-Token': token },
    body: JSON.stringify({ query, variables }),
    signal,
  });
  const body = (await response.json()) as Body;
  const code = body.errors?.[0]?.extensions?.code;
  if (code) return FINAL_CODES.includes(code) ? { refusal: code } : { failure: code };
  return body.data ? { answer: answerOf(body.data) } : { failure: `HTTP ${response.status}` };
}

interface Body {
  readonly data?: Readonly<Record<string, unknown>> | null;
  readonly errors?: readonly { readonly extensions?: { readonly code?: string } }[];
}
