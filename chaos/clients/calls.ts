/**
 * Makes calls as a careful client does. Each attempt has a time limit, and a failed one is repeated at the next
 * gateway. Calls that run code carry an idempotency key, so repeating them is always safe.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { type CallAnswer, type CallRecord, compact } from '../history.ts';
import type { Random } from '../random.ts';
import type { Cell } from './cells.ts';

/** Longer than the life of a lease plus a takeover. A gateway that is paused (SIGSTOP) does not answer. */
const ATTEMPT_TIMEOUT_MS = 12_000;
/** Longer than the gateway's own limits: a commit waits 30 s for the database, and a request 60 s for a worker. */
const CALL_LIMIT_MS = 120_000;
const RETRY_PAUSE_MS = 150;
/** Codes of errors after which repeating the call is useless. */
const FINAL_CODES = ['BAD_USER_INPUT', 'IDEMPOTENCY_CONFLICT', 'NOT_FOUND', 'UNAUTHENTICATED'];

export interface CallsDeps {
  /** The URLs of all gateways, e.g. `http://127.0.0.1:3874`. */
  readonly urls: readonly string[];
  readonly token: string;
  readonly random: Random;
  /** Aborting it ends everything immediately. */
  readonly signal: AbortSignal;
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
  const startedAt = Date.now();
  const failures: Record<string, number> = {};
  let turn = deps.random.between(0, deps.urls.length - 1);
  let answer: CallAnswer | null = null;
  let refusal: string | null = null;
  while (answer === null && refusal === null && Date.now() - startedAt < CALL_LIMIT_MS) {
    const outcome = await attempt(deps, deps.urls[turn % deps.urls.length] ?? '', request);
    turn += 1;
    if ('answer' in outcome) answer = outcome.answer;
    else if (FINAL_CODES.includes(outcome.failure)) refusal = outcome.failure;
    else {
      failures[outcome.failure] = (failures[outcome.failure] ?? 0) + 1;
      await delay(RETRY_PAUSE_MS * (0.5 + deps.random.next()), undefined, { signal: deps.signal });
    }
  }
  const record = { ...wish, startedAt, endedAt: Date.now(), failures, answer, refusal };
  deps.record(record);
  return record;
}

type Outcome = { readonly answer: CallAnswer } | { readonly failure: string };

async function attempt(
  { token, signal }: CallsDeps,
  url: string,
  { query, variables, answerOf }: Request,
): Promise<Outcome> {
  const limit = AbortSignal.timeout(ATTEMPT_TIMEOUT_MS);
  try {
    const response = await fetch(`${url}/graphql`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'X-Auth-Token': token },
      body: JSON.stringify({ query, variables }),
      signal: AbortSignal.any([limit, signal]),
    });
    const body = (await response.json()) as Body;
    const code = body.errors?.[0]?.extensions?.code;
    if (code) return { failure: code };
    return body.data ? { answer: answerOf(body.data) } : { failure: `HTTP ${response.status}` };
  } catch (error: unknown) {
    signal.throwIfAborted();
    return { failure: limit.aborted ? 'no answer in time' : wayItBroke(error) };
  }
}

interface Body {
  readonly data?: Readonly<Record<string, unknown>> | null;
  readonly errors?: readonly { readonly extensions?: { readonly code?: string } }[];
}

/** The socket's error code, which fetch wraps in its own error. */
function wayItBroke(error: unknown): string {
  const cause = error instanceof Error ? error.cause : null;
  return cause instanceof Error && 'code' in cause ? String(cause.code) : String(error);
}
