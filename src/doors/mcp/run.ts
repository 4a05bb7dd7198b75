/** Runs code for a tool, or waits for running code, for no longer than a host waits for an answer. */
import type { CallToolResult } from '@modelcontextprotocol/server';
import { onAbort } from '../../async/onAbort.ts';
import type { Execution } from '../../domain/execution.ts';
import type { BoundService } from '../../service/service.ts';
import { contextOf } from '../shared/target.ts';
import type { McpCall, Notify } from './mcpCall.ts';
import { reportProgress } from './progress.ts';
import { collect, resultOf } from './result.ts';
import { type ClientSession, idOfSession } from './session.ts';

/** Below the 60 s after which most hosts give up. */
const DEFAULT_WAIT_SECONDS = 45;
export const MAX_WAIT_SECONDS = 50;

export interface RunRequest
  extends Omit<Parameters<BoundService['executeUntil']>[0], 'userUuid' | 'contextId'> {
  readonly session: ClientSession;
  readonly waitSeconds: number | undefined;
}

/**
 * Runs code, and returns its result. If the wait ends first, or the gateway stops, the result says that the code goes
 * on. If the client goes away first, the execution is interrupted, because nobody knows of it.
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
    const contextId = request.language === 'BASH' ? null : await contextOf(service, session.place);
    const wait = { until, onAccepted: ({ id }: Execution) => onAccepted(id, 0) };
    return await service.executeUntil({ ...request, userUuid, contextId }, wait);
  });
  if (gone.aborted && !stopping.isOver && execution.finishedAt === null)
    await service.interrupt(execution.id);
  return await resultOfExecution(call, execution, { sessionId: session.id, after: 0 });
}

export interface PollRequest {
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
