import type { Terminal } from '../../domain/executionOptions.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { type CountUseDeps, countUse } from '../sessions/countUse.ts';
import { workerAway } from '../sessions/workerFeature.ts';
import { refuse } from '../validate.ts';
import { requireExecution } from './execution.ts';
import { validateTerminal } from './validateTerminal.ts';

/**
 * Gives the terminal of a command another size. Not recorded: the latest size wins. It counts as a use of the session.
 * Works on any gateway.
 * @returns whether the command runs, and so has the size now
 * @throws BAD_USER_INPUT, NOT_FOUND; POOL_INITIALIZING if the worker does not answer
 */
export async function resizeTerminal(
  deps: CountUseDeps & Pick<ServiceDeps, 'database' | 'pool'>,
  principal: Principal,
  executionId: string,
  size: Terminal,
): Promise<boolean> {
  const terminal = validateTerminal(size);
  const execution = await requireExecution(deps, principal, executionId);
  if (!execution.options?.pty) refuse('executionId', 'names an execution without a terminal', {});
  if (execution.finishedAt !== null) return false;
  await countUse(deps, execution);
  const worker = await deps.database.queries.worker(execution.workerId);
  const call = worker && (await deps.pool.agentOf(worker));
  if (!call) return false;
  try {
    return (await call('resize', { msgId: execution.id, ...terminal })).known;
  } catch (error: unknown) {
    throw workerAway(error);
  }
}
