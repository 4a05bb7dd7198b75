/** The calls of a careful client. Calls that run code have an idempotency key, so repeating them is always safe. */

import { type Answered, type CallAnswer, type CallRecord, type Cell, compact } from '../history.ts';
import { type ClientDeps, type Outcome, untilAnswered } from './attempts.ts';

/** Codes of errors after which repeating the call is useless. */
export const FINAL_CODES: readonly string[] = [
  'BAD_USER_INPUT',
  'IDEMPOTENCY_CONFLICT',
  'INPUT_CLOSED',
  'INPUT_OUT_OF_ORDER',
  'NOT_FOUND',
  'UNAUTHENTICATED',
];

export interface CallsDeps extends ClientDeps {
  readonly record: (call: CallRecord) => void;
}

export interface Calls {
  /** Each call resolves with its record. It throws only if the signal is aborted. */
  execute(user: string, cell: Cell, contextId?: string): Promise<CallRecord>;
  submit(user: string, cell: Cell, contextId?: string): Promise<CallRecord>;
  interrupt(user: string, executionId: string): Promise<CallRecord>;
  release(user: string): Promise<CallRecord>;
  restartKernel(user: string, contextId?: string): Promise<CallRecord>;
  /** Safe to repeat, because an open context with this name is returned. */
  createContext(user: string, name: string): Promise<CallRecord>;
  deleteContext(user: string, contextId: string): Promise<CallRecord>;
}

/** The operation and the arguments of a call. */
export type Wish = Omit<CallRecord, keyof Answered<CallAnswer>>;

/** The request of one attempt. The only field of `query` must be named `done`. */
export interface Request<Answer> {
  readonly query: string;
  readonly variables: Readonly<Record<string, unknown>>;
  readonly answerOf: (data: Readonly<Record<string, unknown>>) => Answer;
  /** Errors that another attempt may not meet, although they are final for other calls. */
  readonly repeatable?: readonly string[];
}

const EXECUTION = '{ id status stateLost exitCode stdout resultText }';

export function createCalls(deps: CallsDeps): Calls {
  const run = (operation: 'execute' | 'submit', user: string, cell: Cell, contextId?: string) =>
    call(
      deps,
      { ...wish(user, operation), cell: cell.kind, key: cell.key, contextId: contextId ?? null },
      {
        query: `mutation Run($input: ExecuteInput!) { done: ${operation}(input: $input) ${EXECUTION} }`,
        variables: { input: inputOf(user, cell, contextId) },
        answerOf: executionAnswer,
      },
    );
  return {
    execute: (user, cell, contextId) => run('execute', user, cell, contextId),
    submit: (user, cell, contextId) => run('submit', user, cell, contextId),
    interrupt: (user, id) =>
      call(
        deps,
        { ...wish(user, 'interrupt'), executionId: id },
        {
          query: `mutation Interrupt($id: ID!) { done: interrupt(input: { executionId: $id }) ${EXECUTION} }`,
          variables: { id },
          answerOf: executionAnswer,
        },
      ),
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
    restartKernel: (user, contextId) =>
      call(
        deps,
        { ...wish(user, 'restartKernel'), contextId: contextId ?? null },
        {
          query: `mutation Restart($user: String!, $contextId: ID) {
          done: restartKernel(input: { userUuid: $user, contextId: $contextId }) { id } }`,
          variables: { user, contextId },
          answerOf: ({ done }) => ({ ...NO_OUTPUT, id: (done as Named).id, status: null }),
        },
      ),
    createContext: (user, name) =>
      call(deps, wish(user, 'createContext'), {
        query: `mutation Create($input: CreateContextInput!) { done: createContext(input: $input) { id status } }`,
        variables: { input: { userUuid: user, name } },
        answerOf: ({ done }) => ({ ...NO_OUTPUT, ...(done as Named & { status: string }) }),
        // The session ended before the context's kernel was ready. The next attempt opens another session.
        repeatable: ['NOT_FOUND'],
      }),
    deleteContext: (user, contextId) =>
      call(
        deps,
        { ...wish(user, 'deleteContext'), contextId },
        {
          query: `mutation Delete($user: String!, $contextId: ID!) {
          done: deleteContext(input: { userUuid: $user, contextId: $contextId }) { deleted } }`,
          variables: { user, contextId },
          answerOf: ({ done }) => {
            const { deleted } = done as { deleted: boolean };
            return { ...NO_OUTPUT, id: contextId, status: deleted ? 'deleted' : null };
          },
        },
      ),
  };
}

/** A call that names nothing but its user. */
function wish(user: string, operation: Wish['operation']): Wish {
  return {
    ...{ user, wire: 'graphql', operation },
    ...{ cell: null, key: null, executionId: null, contextId: null },
  };
}

function inputOf(userUuid: string, cell: Cell, contextId: string | undefined) {
  const { code, timeoutMs, key, language, allowInput } = cell;
  const plain = { userUuid, code, timeoutMs, idempotencyKey: key, allowInput };
  return { ...plain, ...(language === 'BASH' && { language }), ...(contextId && { contextId }) };
}

type Named = { readonly id: string };
export const NO_OUTPUT = { stateLost: false, exitCode: null, stdout: '', result: null };

function executionAnswer({ done }: Readonly<Record<string, unknown>>): CallAnswer {
  const execution = done as CallAnswer & { readonly resultText: string | null };
  const { id, status, stateLost, exitCode, stdout, resultText } = execution;
  const result = resultText?.slice(stdout.length) || null;
  return { id, status, stateLost, exitCode, stdout: compact(stdout), result };
}

async function call(
  deps: CallsDeps,
  wish: Wish,
  request: Request<CallAnswer>,
): Promise<CallRecord> {
  const answered = await untilAnswered(deps, (url, token, signal) =>
    attempt(url, token, request, signal),
  );
  const record = { ...wish, ...answered };
  deps.record(record);
  return record;
}

/** Makes one attempt at one gateway. */
export async function attempt<Answer>(
  url: string,
  token: string,
  { query, variables, answerOf, repeatable = [] }: Request<Answer>,
  signal: AbortSignal,
): Promise<Outcome<Answer>> {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'X-Auth-Token': token },
    body: JSON.stringify({ query, variables }),
    signal,
  });
  const body = (await response.json()) as Body;
  const code = body.errors?.[0]?.extensions?.code;
  const isFinal = code && FINAL_CODES.includes(code) && !repeatable.includes(code);
  if (code) return isFinal ? { refusal: code } : { failure: code };
  return body.data ? { answer: answerOf(body.data) } : { failure: `HTTP ${response.status}` };
}

interface Body {
  readonly data?: Readonly<Record<string, unknown>> | null;
  readonly errors?: readonly { readonly extensions?: { readonly code?: string } }[];
}
