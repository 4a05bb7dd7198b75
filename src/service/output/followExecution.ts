import type { OutputItem } from '../../domain/output.ts';
import { validateOutputRange } from '../answer/outputRange.ts';
import { requireExecution } from '../execute/execution.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { followOutput } from './followOutput.ts';

/**
 * An execution's outputs after `after`: first those that are stored, then live ones, up to the finish. The consumer
 * pulls them, so nothing is buffered for a consumer that does not read. `return()` resolves immediately, even while
 * `next()` waits.
 * @throws NOT_FOUND, BAD_USER_INPUT before the first item
 */
export async function followExecution(
  deps: Pick<ServiceDeps, 'database' | 'sharedOutput'>,
  principal: Principal,
  executionId: string,
  after: number,
): Promise<AsyncIterableIterator<OutputItem>> {
  validateOutputRange({ after });
  const { id } = await requireExecution(deps, principal, executionId);
  return followOutput(deps, id, after, principal.tokenEnd);
}
