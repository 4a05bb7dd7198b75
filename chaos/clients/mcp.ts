/**
 * The calls of a host of MCP, each over a connection of its own. MCP has no idempotency keys, so a call that runs code
 * is not repeated when nobody knows whether the code ran. The mark of the next cell in the kernel shows whether it did.
 */

import {
  Client as SdkClient,
  SdkHttpError,
  StreamableHTTPClientTransport,
  type VersionNegotiationMode,
} from '@modelcontextprotocol/client';
import { type Answered, type CallAnswer, type CallRecord, type Cell, compact } from '../history.ts';
import { type Act, type ActingAtDoor, submitAndInterrupt } from './acts.ts';
import { type Outcome, untilAnswered, wayItBroke } from './attempts.ts';
import { type Calls, type CallsDeps, FINAL_CODES, NO_OUTPUT, type Wish } from './calls.ts';
import { cellsOf } from './cells.ts';
import { type Client, live } from './createUser.ts';

type McpCalls = Pick<Calls, 'execute' | 'submit' | 'interrupt' | 'release' | 'restartKernel'>;

/** Less than an attempt may take. If the code has not ended by then, the client asks for it again, at any gateway. */
const WAIT_SECONDS = 4;
/** The smallest `timeout_seconds` that the tool accepts. */
const MIN_TIMEOUT_SECONDS = 1;
/** Longer than a call may take, because the code may wait behind other code. */
const FOLLOW_LIMIT_MS = 150_000;
/** The name of the user's session, for the holder of a token for one user. */
const SESSION = { session_id: 'default' };

function createMcpCalls(deps: CallsDeps): McpCalls {
  const answered = <Answer>(call: ToolCall<Answer>): Promise<Answered<Answer>> =>
    untilAnswered(deps, (url, token, signal) => {
      const era = deps.random.pick(ERAS) ?? 'legacy';
      return callTool({ url, token, era }, call, signal);
    });
  const recorded = (wish: Wish, ended: Answered<CallAnswer>): CallRecord => {
    const record = { ...wish, ...ended };
    deps.record(record);
    return record;
  };
  const repeated = async (
    wish: Wish,
    call: Omit<ToolCall<CallAnswer>, 'isRepeatable'>,
  ): Promise<CallRecord> => recorded(wish, await answered({ ...call, isRepeatable: true }));

  return {
    execute: async (user, cell) => {
      const begun = await answered(running(cell, WAIT_SECONDS));
      return recorded(wishOf(user, 'execute', cell), await followed(begun, answered));
    },
    submit: async (user, cell) => {
      const { answer, ...begun } = await answered(running(cell, 0));
      return recorded(wishOf(user, 'submit', cell), {
        ...begun,
        answer: answer && answerIn(answer),
      });
    },
    interrupt: (user, executionId) =>
      repeated(
        { ...wishOf(user, 'interrupt'), executionId },
        {
          tool: 'interrupt_execution',
          input: { execution_id: executionId },
          answerOf: () => ({ ...NO_OUTPUT, id: executionId, status: null }),
        },
      ),
    release: (user) =>
      repeated(wishOf(user, 'release'), {
        tool: 'release_session',
        input: SESSION,
        answerOf: ({ ok }) => ({ ...NO_OUTPUT, id: null, status: ok === true ? 'released' : null }),
      }),
    restartKernel: (user) =>
      repeated(wishOf(user, 'restartKernel'), {
        tool: 'restart_session',
        input: SESSION,
        answerOf: () => ({ ...NO_OUTPUT, id: null, status: null }),
      }),
  };
}

function wishOf(user: string, operation: Wish['operation'], cell?: Cell): Wish {
  return {
    ...{ user, wire: 'mcp', operation, cell: cell?.kind ?? null, key: cell?.key ?? null },
    ...{ executionId: null, contextId: null },
  };
}

/** The facts about an execution that the tools report and that this client needs. */
interface Reported extends CallAnswer {
  readonly id: string;
  readonly nextSeq: number;
}

function running(cell: Cell, wait_seconds: number): ToolCall<Reported> {
  const timeout_seconds = Math.max(MIN_TIMEOUT_SECONDS, cell.timeoutMs / 1_000);
  const isCommand = cell.language === 'BASH';
  const what = isCommand ? { command: cell.code } : { code: cell.code };
  return {
    tool: isCommand ? 'run_command' : 'execute_code',
    input: { ...what, ...SESSION, timeout_seconds, wait_seconds },
    answerOf: reportedOf,
    isRepeatable: false,
  };
}

/** Asks for more output until the code has ended, each time from the seq at which the last answer ended. */
async function followed(
  begun: Answered<Reported>,
  answered: (call: ToolCall<Reported>) => Promise<Answered<Reported>>,
): Promise<Answered<CallAnswer>> {
  let last = begun;
  while (last.answer && isUnended(last.answer) && Date.now() - begun.startedAt < FOLLOW_LIMIT_MS) {
    const { id, nextSeq } = last.answer;
    const next = await answered({
      tool: 'get_execution',
      input: { execution_id: id, after_seq: nextSeq, wait_seconds: WAIT_SECONDS },
      answerOf: reportedOf,
      isRepeatable: true,
    });
    last = joined(last, next);
  }
  const { answer, ...ended } = last;
  return { ...ended, answer: answer && !isUnended(answer) ? answerIn(answer) : null };
}

function joined(last: Answered<Reported>, next: Answered<Reported>): Answered<Reported> {
  const failures = { ...last.failures };
  for (const [how, count] of Object.entries(next.failures))
    failures[how] = (failures[how] ?? 0) + count;
  const answer = next.answer && {
    ...next.answer,
    stdout: (last.answer?.stdout ?? '') + next.answer.stdout,
    result: last.answer?.result ?? next.answer.result,
  };
  return { ...next, startedAt: last.startedAt, failures, answer };
}

function isUnended({ status }: CallAnswer): boolean {
  return status === 'QUEUED' || status === 'RUNNING';
}

function reportedOf(data: Readonly<Record<string, unknown>>): Reported {
  const { execution_id, status, state_lost, exit_code, stdout, result, next_seq } = data;
  return {
    id: String(execution_id),
    status: String(status).toUpperCase(),
    stateLost: state_lost === true,
    exitCode: typeof exit_code === 'number' ? exit_code : null,
    stdout: compact(String(stdout)),
    result: typeof result === 'string' ? result : null,
    nextSeq: Number(next_seq),
  };
}

function answerIn({ nextSeq: _, ...answer }: Reported): CallAnswer {
  return answer;
}

// What a user of MCP does. The checks of all cells and commands apply.

const MCP_ACTS: readonly Act<ActingAtDoor<McpCalls>>[] = [
  { weight: 40, act: ({ name, calls, cell }) => calls.execute(name, cell('counter')) },
  { weight: 20, act: ({ name, calls, cell }) => calls.execute(name, cell('stream')) },
  { weight: 12, act: ({ name, calls, cell }) => calls.execute(name, cell('shell')) },
  { weight: 8, act: ({ name, calls, cell }) => calls.execute(name, cell('shell-stream')) },
  { weight: 8, act: (user) => submitAndInterrupt(user, 'endless') },
  { weight: 5, act: ({ name, calls, cell }) => calls.execute(name, cell('runaway')) },
  { weight: 12, act: severalAtOnce },
  { weight: 3, act: ({ name, calls }) => calls.release(name) },
  { weight: 4, act: ({ name, calls }) => calls.restartKernel(name) },
];

/** Makes several calls at once, as a host does whose model calls several tools. */
async function severalAtOnce({ name, calls, cell }: ActingAtDoor<McpCalls>): Promise<void> {
  await Promise.all([
    calls.execute(name, cell('stream')),
    calls.execute(name, cell('counter')),
    calls.execute(name, cell('shell')),
  ]);
}

// A user of the door for MCP, whose token is for this door only.

/** A call without an answer is not repeated, so an audit may need several cells. */
const MAX_AUDITS = 3;

/** The user starts acting immediately. */
export function createMcpUser(deps: CallsDeps & { readonly name: string }): Client {
  const { name, random } = deps;
  const calls = createMcpCalls(deps);
  const cell = cellsOf(name);
  const acting = { name, calls, random, cell };
  const life = live(deps, async () => await random.pickWeighted(MCP_ACTS)?.act(acting));

  async function audit(): Promise<CallRecord> {
    await calls.execute(name, cell('ledger'));
    for (let count = 1; ; count += 1) {
      const call = await calls.execute(name, cell('audit'));
      if (call.answer !== null || count === MAX_AUDITS) return call;
    }
  }

  return { name, stop: life.stop, audit, release: () => calls.release(name) };
}

// Calls a tool of one gateway once, with the official client of MCP, in either era of its protocol.

const ERAS: readonly VersionNegotiationMode[] = ['legacy', { pin: '2026-07-28' }];

/** After these errors, nobody knows whether the call had an effect. After all other errors, it had none. */
const UNCLEAR_CODES: readonly string[] = ['DATABASE_UNAVAILABLE', 'INTERNAL'];

interface ToolCall<Answer> {
  readonly tool: string;
  readonly input: Readonly<Record<string, unknown>>;
  readonly answerOf: (data: Readonly<Record<string, unknown>>) => Answer;
  /** Whether another attempt does no harm if the outcome of this one is unknown. */
  readonly isRepeatable: boolean;
}

/** @param era see {@link ERAS} */
async function callTool<Answer>(
  { url, token, era }: { url: string; token: string; era: VersionNegotiationMode },
  { tool, input, answerOf, isRepeatable }: ToolCall<Answer>,
  signal: AbortSignal,
): Promise<Outcome<Answer>> {
  const client = new SdkClient(
    { name: 'cellhouse-chaos', version: '1.0.0' },
    { versionNegotiation: { mode: era } },
  );
  const headers = { Authorization: `Bearer ${token}` };
  const broken = (how: string): Outcome<never> =>
    isRepeatable ? { failure: how } : { unknown: how };
  try {
    // If this fails, no tool was called.
    await connect(client, new URL(`${url}/mcp`), headers, signal);
    const result = await client
      .callTool({ name: tool, arguments: { ...input } }, { signal })
      .catch((error: unknown) => {
        if (error instanceof SdkHttpError) throw error;
        return broken(signal.aborted ? 'no answer in time' : wayItBroke(error));
      });
    if (!('content' in result)) return result;
    if (result.structuredContent) return { answer: answerOf({ ...result.structuredContent }) };
    const [code = ''] = /^[A-Z_]+(?=: )/.exec(textIn(result.content)) ?? [];
    if (FINAL_CODES.includes(code)) return { refusal: code };
    return UNCLEAR_CODES.includes(code) ? broken(code) : { failure: code || 'no code' };
  } catch (error: unknown) {
    // If the gateway refuses the HTTP request, no tool was called.
    if (!(error instanceof SdkHttpError)) throw error;
    return error.status === 401
      ? { refusal: 'UNAUTHENTICATED' }
      : { failure: `HTTP ${error.status}` };
  } finally {
    await client.close();
  }
}

async function connect(
  client: SdkClient,
  url: URL,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<void> {
  const transport = new StreamableHTTPClientTransport(url, { requestInit: { headers } });
  await client.connect(transport, { signal });
}

function textIn(content: readonly { readonly type: string; readonly text?: string }[]): string {
  return content.find(({ type }) => type === 'text')?.text ?? '';
}
