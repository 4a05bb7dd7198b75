/** Runs code for a tool, or waits for running code, for no longer than a host waits for an answer. */
import type { CallToolResult } from '@modelcontextprotocol/server';
import { onAbort } from '../../async/onAbort.ts';
import { createOneAtATime } from '../../async/oneAtATime.ts';
import type { Execution } from '../../domain/execution.ts';
import type { BoundService } from '../../service/service.ts';
import { contextOf } from '../shared/target.ts';
import { collect, resultOf } from './result.ts';
import { type ClientSession, idOfSession, type McpCall, type Notify } from './session.ts';

/** Below the 60 s after which most hosts give up. */
const DEFAULT_WAIT_SECONDS = 45;
export const MAX_WAIT_SECONDS = 50;

interface RunRequest
  extends Omit<Parameters<BoundService['executeUntil']>[0], 'userUuid' | 'contextId'> {
  readonly session: ClientSession;
  readonly waitSeconds: number | undefined;
}

/**
 * Runs code, and returns its result. If the wait ends first, or the gateway stops, the result says that the code goes
 * on. If the client goes away first, the execution is interrupted, because no client knows its id.
 */
export async function run(
  call: McpCall,
  { session, waitSeconds, ...request }: RunRequest,
  notify: Notify,
): Promise<CallToolResult> {
  const { service, gone, stopping } = call;
  const { userUuid } = session.place;
  const execution = await waiting(call, waitSeconds, notify, async (until, onAccepted) => {
    // Creating a context takes a while, and counts as a part of the wait.
    const isCommand = request.language === 'BASH';
    const contextId = isCommand ? null : await contextOf(service, session.place, gone);
    const wait = { until, onAccepted: ({ id }: Execution) => onAccepted(id, 0) };
    return await service.executeUntil({ ...request, userUuid, contextId, gone }, wait);
  });
  if (gone.aborted && !stopping.isOver && execution.finishedAt === null)
    await service.interrupt(execution.id);
  return await resultOfExecution(call, execution, { sessionId: session.id, after: 0 });
}

interface PollRequest {
  readonly executionId: string;
  readonly waitSeconds: number | undefined;
  readonly after: number;
}

/** Waits for an execution's end, and gives its result so far. A client that goes away interrupts nothing. */
export async function poll(
  call: McpCall,
  { executionId, waitSeconds, after }: PollRequest,
  notify: Notify,
): Promise<CallToolResult> {
  const { service } = call;
  const execution = await waiting(call, waitSeconds, notify, async (until, onAccepted) => {
    onAccepted(executionId, after);
    return await service.awaitExecution(executionId, until);
  });
  const sessionId = await idOfSession(call, execution);
  return await resultOfExecution(call, execution, { sessionId, after });
}

/** Calls `work` with a signal for the end of the wait, and reports progress to the client until `work` has settled. */
async function waiting(
  { service, gone }: McpCall,
  waitSeconds: number = DEFAULT_WAIT_SECONDS,
  notify: Notify,
  work: (
    until: AbortSignal,
    onAccepted: (executionId: string, after: number) => void,
  ) => Promise<Execution>,
): Promise<Execution> {
  const over = new AbortController();
  const end = () => over.abort();
  const timer = setTimeout(end, waitSeconds * 1_000);
  const off = onAbort(gone, end);
  const progress = notify && reportProgress(service, notify);
  try {
    return await work(over.signal, (id, after) => progress?.follow(id, after));
  } finally {
    clearTimeout(timer);
    off();
    await progress?.close();
  }
}

async function resultOfExecution(
  { service, knowsLinks, deps }: McpCall,
  execution: Execution,
  { sessionId, after }: { readonly sessionId: string | null; readonly after: number },
): Promise<CallToolResult> {
  const collected = await collect(service, execution, after);
  return resultOf({ execution, collected, sessionId, knowsLinks, now: deps.now() });
}

// Reports the progress of a call to a client that asked for it.

/** Often enough for clients that give up 30 s or 60 s after the last progress. */
const INTERVAL_MS = 15_000;
const MAX_MESSAGE_CHARS = 200;

interface Progress {
  /** From now on, reports contain the last line of this execution's output after the seq `after`. */
  follow(executionId: string, after: number): void;
  /** Ends the reports. */
  close(): Promise<void>;
}

/** Reports the seconds that have passed: at once, and then at each interval. */
function reportProgress(
  service: Pick<BoundService, 'followExecution'>,
  notify: NonNullable<Notify>,
): Progress {
  const begun = performance.now();
  let last = -1;
  let line = '';
  const inOrder = createOneAtATime();
  let outputs: AsyncIterableIterator<unknown> | null = null;
  let isClosed = false;

  function tell(): void {
    const seconds = Math.round((performance.now() - begun) / 1_000);
    // The protocol requires that the value rises with each report.
    last = Math.max(seconds, last + 1);
    const progress = last;
    // A client that has gone gets nothing, and that is no failure of the call.
    inOrder(() => notify(progress, line)).catch(() => undefined);
  }

  async function read(executionId: string, after: number): Promise<void> {
    const items = await service.followExecution(executionId, after);
    outputs = items;
    if (isClosed) return void (await items.return?.());
    for await (const { output } of items)
      if (output.kind === 'stream') line = lastLine(output.text) ?? line;
  }

  tell();
  const timer = setInterval(tell, INTERVAL_MS);
  return {
    follow(executionId, after) {
      // If this fails, the call itself fails too, and reports it.
      read(executionId, after).catch(() => undefined);
    },
    async close() {
      isClosed = true;
      clearInterval(timer);
      await outputs?.return?.();
      await inOrder(async () => undefined);
    },
  };
}

function lastLine(text: string): string | null {
  const lines = text.split(/[\r\n]+/);
  const line = lines.findLast((one) => one.trim() !== '');
  return line?.slice(0, MAX_MESSAGE_CHARS).toWellFormed() ?? null;
}
