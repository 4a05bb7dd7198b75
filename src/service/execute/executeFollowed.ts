import { onAbort } from '../../async/onAbort.ts';
import type { Execution } from '../../domain/execution.ts';
import type { OutputItem } from '../../domain/output.ts';
import { outputsUntil } from '../output/outputsUntil.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { type AcceptedExecution, acceptFollowed, type RunDeps } from './acceptFollowed.ts';
import { unlessStopping } from './unlessStopping.ts';
import type { ExecuteRequest } from './validateRequest.ts';

/** What happens to an execution, in order. If it ends before it has begun, only its end is reported. */
export type OwnNews =
  | { readonly type: 'begun'; readonly execution: Execution }
  | { readonly type: 'output'; readonly item: OutputItem }
  | { readonly type: 'ended'; readonly execution: Execution };

export interface FollowedExecution {
  /** As accepted. */
  readonly execution: Execution;
  /** Produced as the caller reads them. They end when the caller has gone, but the execution goes on. */
  readonly news: AsyncIterable<OwnNews>;
}

type FollowDeps = RunDeps & Pick<ServiceDeps, 'sharedOutput' | 'stopping'>;

/**
 * Runs code, whichever gateway holds the session's worker, and reports what happens to it. Resolves when the execution
 * is durable. At the gateway that holds the worker, following the execution needs no query. If the gateway stops before
 * the execution is durable, the call need not resolve, because the server closes its connection. The caller then learns
 * nothing, even if the code was accepted.
 * @param gone aborted when the caller no longer listens. It must be aborted at some time, unless the news were read to
 * their end.
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
    // The caller may never read the news.
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
