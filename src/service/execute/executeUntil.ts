import type { Execution } from '../../domain/execution.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { acceptRequest } from './acceptRequest.ts';
import type { RunDeps } from './execute.ts';
import { requireExecution } from './execution.ts';
import { unlessStopping } from './unlessStopping.ts';
import type { ExecuteRequest } from './validateRequest.ts';

type AwaitDeps = Pick<ServiceDeps, 'database' | 'finishWaiters' | 'stopping'>;

/** Until when a call waits for the end of an execution. */
export interface Wait {
  readonly until: AbortSignal;
  /** Called when the execution is durable. */
  readonly onAccepted?: (execution: Execution) => void;
}

/**
 * Runs code, and resolves when it has ended, when `until` is aborted, or when the gateway stops: with the execution as
 * it then is, which goes on. Never before the execution is durable. If the gateway stops before that, nothing has
 * happened, and the call does not resolve: the server closes its connection.
 */
export function executeUntil(
  deps: RunDeps & Pick<ServiceDeps, 'stopping'>,
  principal: Principal,
  request: ExecuteRequest,
  { until, onAccepted }: Wait,
): Promise<Execution> {
  return unlessStopping(deps, true, async (onAccepting) => {
    let unfollow = () => {};
    try {
      const execution = await acceptRequest(deps, principal, request, (id) => {
        onAccepting();
        unfollow();
        unfollow = deps.finishWaiters.follow(id);
      });
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
  const end = () => over.abort();
  for (const signal of [until, stopping]) {
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
  }
  try {
    return await finishWaiters.wait(execution, over.signal);
  } catch (error: unknown) {
    if (!over.signal.aborted) throw error;
    return (await database.queries.execution(execution.id)) ?? execution;
  } finally {
    until.removeEventListener('abort', end);
    stopping.removeEventListener('abort', end);
  }
}
