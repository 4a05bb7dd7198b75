import type { OutputItem } from '../../domain/output.ts';
import { validateOutputRange } from '../answer/outputRange.ts';
import { requireExecution } from '../execute/execution.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { followOutput } from './followOutput.ts';

/**
 * An execution's outputs after `after`: first what is stored, then live, ending with the finish. Pulled, never pushed: nothing is
 * buffered for a consumer that does not read. `return()` resolves at once, also while waiting.
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
  return followOutput(deps, id, after);
}
