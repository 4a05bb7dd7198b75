import { onAbort } from '../../async/onAbort.ts';
import type { Execution } from '../../domain/execution.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { acceptFollowed, type RunDeps } from './acceptFollowed.ts';
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
 * Runs code. Resolves with the present state of the execution when it has ended, when `until` is aborted, or when the
 * gateway stops. An execution that has not ended goes on. The call never resolves before the execution is durable. If
 * the gateway stops before that, the call does not resolve: the server closes its connection.
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
