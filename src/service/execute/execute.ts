/** The operations that run code: they differ in what they wait for and in what they answer. */
import { onAbort } from '../../async/onAbort.ts';
import type { Config } from '../../config/config.ts';
import { DomainError } from '../../domain/errors.ts';
import type { Execution } from '../../domain/execution.ts';
import type { SessionId } from '../../domain/ids.ts';
import type { OutputItem } from '../../domain/output.ts';
import type { Queries } from '../../events/queries/createQueries.ts';
import { outputsUntil } from '../output/followOutput.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { type CallerGone, unlessStopping } from '../waiting.ts';
import {
  type AcceptedExecution,
  type AcceptRequestDeps,
  acceptFollowed,
  acceptRequest,
  type RunDeps,
} from './acceptExecution.ts';
import { requireExecution } from './execution.ts';
import { type ExecuteRequest, hasKey, validateRequest } from './validateRequest.ts';

type AwaitDeps = Pick<ServiceDeps, 'database' | 'finishWaiters' | 'stopping'>;

/** Until when a call waits for the end of an execution. */
interface Wait {
  readonly until: AbortSignal;
  /** Called when the execution is durable. */
  readonly onAccepted?: (execution: Execution) => void;
}

/**
 * Runs code. Resolves with the present state of the execution when it has ended, when `until` is aborted, or when the
 * gateway stops. An execution that has not ended goes on. The call never resolves before the execution is durable. If
 * the gateway stops before that, the call may never settle: the server closes its connection.
 */
export function executeUntil(
  deps: RunDeps & Pick<ServiceDeps, 'stopping'>,
  principal: Principal,
  request: ExecuteRequest,
  { until, onAccepted }: Wait,
): Promise<Execution> {
  return unlessStopping(deps, true, async (onAccepting) => {
    const { execution, unfollow } = await acceptFollowed(deps, principal, request, onAccepting);
    try {
      onAccepted?.(execution);
      return await finishedBefore(deps, execution, until);
    } finally {
      unfollow();
    }
  });
}

/**
 * The execution once it has ended, or as it is when `until` is aborted or the gateway stops.
 * @throws NOT_FOUND
 */
export async function awaitExecution(
  deps: AwaitDeps,
  principal: Principal,
  executionId: string,
  until: AbortSignal,
): Promise<Execution> {
  const execution = await requireExecution(deps, principal, executionId);
  return await unlessStopping(deps, true, () => finishedBefore(deps, execution, until));
}

async function finishedBefore(
  { database, finishWaiters, stopping }: AwaitDeps,
  execution: Execution,
  until: AbortSignal,
): Promise<Execution> {
  // AbortSignal.any would leak: `stopping` lives as long as the gateway.
  const over = new AbortController();
  const offs = [until, stopping].map((signal) => onAbort(signal, () => over.abort()));
  try {
    return await finishWaiters.wait(execution, over.signal);
  } catch (error: unknown) {
    if (!over.signal.aborted) throw error;
    return (await database.queries.execution(execution.id)) ?? execution;
  } finally {
    for (const off of offs) off();
  }
}

/**
 * Runs code, whichever gateway holds the session's worker, and resolves when the code has ended. The code keeps running
 * even if the caller disconnects.
 */
export function execute(
  deps: RunDeps & Pick<ServiceDeps, 'stopping'>,
  principal: Principal,
  request: ExecuteRequest,
): Promise<Execution> {
  return unlessStopping(deps, hasKey(request), (onAccepting) =>
    runToEnd(deps, principal, request, onAccepting),
  );
}

/** @param onAccepting called right before the request is recorded. Nothing has happened until then. */
async function runToEnd(
  deps: RunDeps,
  principal: Principal,
  request: ExecuteRequest,
  onAccepting: () => void,
): Promise<Execution> {
  const { execution, unfollow } = await acceptFollowed(deps, principal, request, onAccepting);
  try {
    return await deps.finishWaiters.wait(execution, new AbortController().signal);
  } finally {
    unfollow();
  }
}

/** Accepts code for execution, and resolves when the request is durable. */
export function submit(
  deps: AcceptRequestDeps & Pick<ServiceDeps, 'stopping'>,
  principal: Principal,
  request: ExecuteRequest,
): Promise<Execution> {
  return unlessStopping(deps, hasKey(request), (onAccepting) =>
    acceptRequest(deps, principal, request, onAccepting),
  );
}

/** What happens to an execution, in order. If it ends before it has begun, only its end is reported. */
export type OwnNews =
  | { readonly type: 'begun'; readonly execution: Execution }
  | { readonly type: 'output'; readonly item: OutputItem }
  | { readonly type: 'ended'; readonly execution: Execution };

interface FollowedExecution {
  /** As accepted. */
  readonly execution: Execution;
  /**
   * Each piece of news is produced when the caller asks for it. When the caller has gone, there is no more news, but
   * the execution goes on.
   */
  readonly news: AsyncIterable<OwnNews>;
}

type FollowDeps = RunDeps & Pick<ServiceDeps, 'sharedOutput' | 'stopping'>;

/**
 * Runs code, whichever gateway holds the session's worker, and reports what happens to it. Resolves when the execution
 * is durable. At the gateway that holds the worker, following the execution needs no query. If the gateway stops before
 * the execution is durable, the call may never settle, because the server closes its connection. The caller then learns
 * nothing, even if the code was accepted.
 * @param gone aborted when the caller no longer listens. It must be aborted at some time, unless the caller has read
 * the news to the end.
 */
export function executeFollowed(
  deps: FollowDeps,
  principal: Principal,
  request: ExecuteRequest,
  gone: AbortSignal,
): Promise<FollowedExecution> {
  // Does not fail with SHUTTING_DOWN: in the protocols of doors, only a broken connection tells the client that the
  // gateway stops.
  return unlessStopping(deps, true, async (onAccepting) => {
    const accepted = await acceptFollowed(deps, principal, request, onAccepting);
    // If the caller never reads the news, `newsOf` never runs, and so cannot unfollow.
    onAbort(gone, accepted.unfollow);
    return { execution: accepted.execution, news: newsOf(deps, principal, accepted, gone) };
  });
}

async function* newsOf(
  deps: FollowDeps,
  { tokenEnd }: Principal,
  { execution, unfollow }: AcceptedExecution,
  gone: AbortSignal,
): AsyncGenerator<OwnNews> {
  const { finishWaiters } = deps;
  try {
    const begun = await finishWaiters.waitForStart(execution, gone);
    if (begun.startedAt !== null) {
      yield { type: 'begun', execution: begun };
      for await (const item of outputsUntil(deps, execution.id, { tokenEnd, gone }))
        yield { type: 'output', item };
    }
    yield { type: 'ended', execution: await finishWaiters.wait(begun, gone) };
  } catch (error: unknown) {
    if (!gone.aborted) throw error;
  } finally {
    unfollow();
  }
}

// Several cells of one session in one call.

/** Enough for a notebook, which has dozens of cells. A larger program should be one cell. */
const MAX_CELLS = 64;

interface BatchRequest {
  readonly userUuid: string;
  readonly cells: readonly Pick<
    ExecuteRequest,
    | 'code'
    | 'language'
    | 'contextId'
    | 'keepAlive'
    | 'environmentVariables'
    | 'workingDirectory'
    | 'allowInput'
    | 'pty'
    | 'timeoutMs'
    | 'idempotencyKey'
  >[];
  /** Whether the batch ends with the first cell whose status is not OK. True by default. */
  readonly stopOnError?: boolean | null | undefined;
  readonly waitForWorkerMs?: number | null | undefined;
  /** See {@link CallerGone}. */
  readonly gone?: CallerGone;
}

/**
 * Runs the cells of a user ({@link runCells}). If the same call is sent again with the same keys, it continues with the
 * first cell that was not run.
 */
export function executeBatch(
  deps: RunDeps & Pick<ServiceDeps, 'stopping'>,
  principal: Principal,
  request: BatchRequest,
): Promise<Execution[]> {
  const { config, database, stopping } = deps;
  return unlessStopping(deps, request.cells.every(hasKey), (onAccepting) =>
    runCells(
      {
        config,
        execute: (cell) => runToEnd(deps, principal, cell, onAccepting),
        canFollowIn: (cell, id) => canFollowIn(database.queries, principal, cell, id),
        stopping,
      },
      request,
    ),
  );
}

interface RunCellsDeps {
  readonly config: Config;
  /** Runs one cell to its end. */
  readonly execute: (request: ExecuteRequest) => Promise<Execution>;
  /** Whether the cell would run in this session, or was already run under its key. */
  readonly canFollowIn: (request: ExecuteRequest, sessionId: SessionId) => Promise<boolean>;
  /** Aborted when the gateway stops: then no further cell is started. */
  readonly stopping: AbortSignal;
}

/**
 * Runs the cells one after the other, and resolves with those that were run. With `stopOnError`, the batch ends with
 * the first cell whose status is not OK. All cells run in the session of the first: when that session ends, the batch
 * ends, too, with or without `stopOnError`. No cell is run if any of them is invalid. Other calls of the user may run
 * between two cells, so code that must not be interleaved belongs in one cell.
 * @throws BAD_USER_INPUT, SHUTTING_DOWN, and the errors of a single execution. If a cell is refused, the details have
 * its index (`cell`) and the ids of the executions of the cells that were run before it (`executionIds`).
 */
export async function runCells(
  deps: RunCellsDeps,
  { userUuid, cells, stopOnError, waitForWorkerMs, gone }: BatchRequest,
): Promise<Execution[]> {
  if (cells.length < 1 || cells.length > MAX_CELLS) {
    throw new DomainError(
      'BAD_USER_INPUT',
      `cells has ${cells.length} items; from 1 to ${MAX_CELLS} are allowed.`,
      { field: 'cells', limit: MAX_CELLS },
    );
  }
  const requests = cells.map((cell) => ({ ...cell, userUuid, waitForWorkerMs, gone }));
  for (const [index, request] of requests.entries()) validateCell(request, index, deps.config);
  const done: Execution[] = [];
  for (const request of requests) {
    const execution = await runNext(deps, request, done);
    if (execution) done.push(execution);
    if (!execution || isLast(execution, done, stopOnError ?? true)) break;
  }
  return done;
}

/** Asks the database, because another gateway may just have ended the session. */
async function canFollowIn(
  queries: Queries,
  { tenant }: Principal,
  { userUuid, idempotencyKey: key }: ExecuteRequest,
  sessionId: SessionId,
): Promise<boolean> {
  const open = await queries.openSession(tenant, userUuid);
  if (open?.id === sessionId) return true;
  return typeof key === 'string' && (await queries.idempotencyKey(tenant, userUuid, key)) !== null;
}

/** Null if the session of the earlier cells has ended. */
async function runNext(
  { execute, canFollowIn, stopping }: RunCellsDeps,
  request: ExecuteRequest,
  done: readonly Execution[],
): Promise<Execution | null> {
  const [first] = done;
  try {
    if (first && !(await canFollowIn(request, first.sessionId))) return null;
    if (first && stopping.aborted) throw stopped();
    return await execute(request);
  } catch (error: unknown) {
    throw ofCell(error, done.length, { executionIds: done.map(({ id }) => id) });
  }
}

function isLast(
  { status, sessionId }: Execution,
  [first]: readonly Execution[],
  stopOnError: boolean,
): boolean {
  if (stopOnError && status !== 'OK') return true;
  // The session may have ended right before this cell was accepted. The cell then ran in a new one.
  return status === 'WORKER_LOST' || sessionId !== first?.sessionId;
}

function validateCell(request: ExecuteRequest, index: number, config: Config): void {
  try {
    validateRequest(request, config);
  } catch (error: unknown) {
    throw ofCell(error, index);
  }
}

/** The same error, with the index of the cell. */
function ofCell(error: unknown, cell: number, facts: Readonly<Record<string, unknown>> = {}) {
  if (!(error instanceof DomainError)) return error;
  const { code, message, details } = error;
  const said = `cells[${cell}]: ${message}`;
  return new DomainError(code, said, { ...details, ...facts, cell }, { cause: error });
}

function stopped(): DomainError {
  return new DomainError(
    'SHUTTING_DOWN',
    'The gateway is stopping. This cell and the cells after it were not run. Send them again.',
  );
}
