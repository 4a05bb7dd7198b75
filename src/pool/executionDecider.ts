/**
 * The life of an execution.
 *
 * ```
 *  (none) --request--> QUEUED --start--> RUNNING --finish--> OK | ERROR | TIMEOUT | INTERRUPTED | WORKER_LOST | CANCELLED
 *                         |                                     ^
 *                         +---------------finish----------------+   (never started: CANCELLED or WORKER_LOST)
 * ```
 * A request to interrupt it is recorded for whoever acts for its worker, and changes no state: how it ends is what tells.
 * It ends exactly once: a second finish decides nothing, and so does a start after the first. Whoever reports a finish of
 * an execution whose kernel began it, but whose start was never recorded, gets both events, in order.
 */
import type { EndStatus, ExecutionEvent } from '../events/eventTypes.ts';
import type { Execution } from '../events/states.ts';
import type { ExecutionId, SessionId, WorkerId } from '../ids.ts';
import { WrongStateError } from './wrongStateError.ts';

/** How an execution ended, as its channel (or whoever declares it over) tells. */
export interface Ending {
  readonly status: EndStatus;
  readonly executionCount: number | null;
  readonly errorName: string | null;
  readonly errorValue: string | null;
  readonly stateLost: boolean;
  readonly truncated: boolean;
  readonly cpuMs: number | null;
  readonly peakMemoryBytes: number | null;
  readonly outputBytes: number;
  readonly exitCode: number | null;
}

export type ExecutionCommand =
  | {
      readonly type: 'RequestExecution';
      readonly at: string;
      readonly executionId: ExecutionId;
      readonly sessionId: SessionId;
      readonly workerId: WorkerId;
      readonly tenant: string;
      readonly userUuid: string;
      readonly code: string;
      readonly codeSha256: string;
      readonly codeBytes: number;
      readonly timeoutMs: number;
      readonly maxOutputBytes: number;
      readonly idempotencyKey: string | null;
      readonly stateLost: boolean;
    }
  | { readonly type: 'RequestInterrupt'; readonly at: string }
  /** `at`: when the kernel began, by its own time. */
  | { readonly type: 'RecordStart'; readonly at: string }
  | {
      readonly type: 'FinishExecution';
      readonly at: string;
      /** When the kernel began, where it did; used if no start is recorded yet. */
      readonly startedAt: string | null;
      readonly ending: Ending;
    };

/** Longest error text kept in the event and the row; the whole of it is in the error output. */
const MAX_ERROR_VALUE_CHARS = 1_000;
const MAX_ERROR_NAME_CHARS = 200;

/** Decides what a command on an execution records. Pure. @throws WrongStateError */
export function decideExecution(
  command: ExecutionCommand,
  execution: Execution | null,
): ExecutionEvent[] {
  if (command.type === 'RequestExecution') {
    if (execution !== null) throw new WrongStateError('execution', execution.status, command.type);
    const { type: _, ...data } = command;
    return [{ type: 'ExecutionRequested', data }];
  }
  if (execution === null) throw new WrongStateError('execution', 'not requested', command.type);
  if (execution.finishedAt !== null) return [];
  switch (command.type) {
    case 'RequestInterrupt':
      return [{ type: 'InterruptRequested', data: { at: command.at } }];
    case 'RecordStart':
      return execution.startedAt === null
        ? [{ type: 'ExecutionStarted', data: { at: notBefore(command.at, execution) } }]
        : [];
    case 'FinishExecution':
      return finish(command, execution);
    default:
      return command satisfies never;
  }
}

function finish(
  command: Extract<ExecutionCommand, { type: 'FinishExecution' }>,
  execution: Execution,
): ExecutionEvent[] {
  const started =
    command.startedAt === null
      ? []
      : decideExecution({ type: 'RecordStart', at: command.startedAt }, execution);
  const startedAt = execution.startedAt ?? (started[0] ? new Date(started[0].data.at) : null);
  const at = notBefore(command.at, execution);
  const endMs = Date.parse(at);
  const { ending } = command;
  return [
    ...started,
    {
      type: 'ExecutionFinished',
      data: {
        at,
        ...ending,
        stateLost: ending.stateLost || execution.stateLost,
        errorName: ending.errorName?.slice(0, MAX_ERROR_NAME_CHARS) ?? null,
        errorValue: ending.errorValue?.slice(0, MAX_ERROR_VALUE_CHARS) ?? null,
        queuedMs: (startedAt?.getTime() ?? endMs) - execution.requestedAt.getTime(),
        runMs: startedAt === null ? null : Math.max(0, endMs - startedAt.getTime()),
      },
    },
  ];
}

/** The worker's clock is the host's, but its user owns the kernel: no time lies before the request. */
function notBefore(at: string, execution: Execution): string {
  return Date.parse(at) >= execution.requestedAt.getTime()
    ? at
    : execution.requestedAt.toISOString();
}
