/** Several cells of one session in one call. */
import type { Config } from '../config.ts';
import { DomainError } from '../errors.ts';
import type { Execution } from '../events/states.ts';
import type { BatchRequest, ExecuteRequest } from './service.ts';
import { validateRequest } from './validateRequest.ts';

/** A notebook is a matter of dozens of cells; more is a program, and belongs into one. */
const MAX_CELLS = 64;

export interface ExecuteBatchDeps {
  readonly config: Config;
  /** Runs one cell to its end. */
  readonly execute: (request: ExecuteRequest) => Promise<Execution>;
}

/**
 * Runs the cells one after the other, each when the one before has ended; resolves with those that were run. With
 * `stopOnError` the first that does not end with OK is the last. Nothing is run if any cell is not valid. Other calls of
 * the user may run in between: what must not be parted belongs into one cell.
 * @throws BAD_USER_INPUT, and what a single execution may fail with; cells that were run by then are recorded
 */
export async function executeBatch(
  { config, execute }: ExecuteBatchDeps,
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
  for (const [index, request] of requests.entries()) validateCell(request, index, config);
  const done: Execution[] = [];
  for (const request of requests) {
    const execution = await execute(request);
    done.push(execution);
    if (stopOnError && execution.status !== 'OK') break;
  }
  return done;
}

function validateCell(request: ExecuteRequest, index: number, config: Config): void {
  try {
    validateRequest(request, config);
  } catch (error: unknown) {
    if (!(error instanceof DomainError)) throw error;
    const message = `cells[${index}]: ${error.message}`;
    throw new DomainError(error.code, message, { ...error.details, cell: index });
  }
}
