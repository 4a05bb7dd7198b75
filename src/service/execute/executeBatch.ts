/** Several cells of one session in one call. */
import type { Config } from '../../config/config.ts';
import { DomainError } from '../../domain/errors.ts';
import type { Execution } from '../../domain/execution.ts';
import type { SessionId } from '../../domain/ids.ts';
import type { Queries } from '../../events/queries/createQueries.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import type { RunDeps } from './acceptFollowed.ts';
import { runToEnd } from './execute.ts';
import { unlessStopping } from './unlessStopping.ts';
import { type ExecuteRequest, hasKey, validateRequest } from './validateRequest.ts';

/** Enough for a notebook, which has dozens of cells. A larger program should be one cell. */
const MAX_CELLS = 64;

export interface BatchRequest {
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

export interface RunCellsDeps {
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
  { userUuid, cells, stopOnError, waitForWorkerMs }: BatchRequest,
): Promise<Execution[]> {
  if (cells.length < 1 || cells.length > MAX_CELLS) {
    throw new DomainError(
      'BAD_USER_INPUT',
      `cells has ${cells.length} items; from 1 to ${MAX_CELLS} are allowed.`,
      { field: 'cells', limit: MAX_CELLS },
    );
  }
  const requests = cells.map((cell) => ({ ...cell, userUuid, waitForWorkerMs }));
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
