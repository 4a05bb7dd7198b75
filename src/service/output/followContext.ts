import type { Execution } from '../../domain/execution.ts';
import type { OutputItem } from '../../domain/output.ts';
import { kernel } from '../contexts/kernel.ts';
import type { KernelView } from '../contexts/kernelView.ts';
import { noContext } from '../contexts/openContext.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { type ContextFeed, createContextFeed, type KernelNews } from './contextFeed.ts';
import { followOutput } from './followOutput.ts';

/** What a follower of a context is told. */
export type ContextNews =
  | KernelNews
  /** An execution has begun. If it ends before, only its end is told. */
  | { readonly type: 'begun'; readonly execution: Execution; readonly code: string }
  | { readonly type: 'output'; readonly execution: Execution; readonly item: OutputItem }
  | { readonly type: 'ended'; readonly execution: Execution };

export interface FollowContextOptions {
  /** Aborted when the follower goes. The news end then. */
  readonly gone: AbortSignal;
}

export interface FollowedContext {
  readonly kernel: KernelView;
  /** Pulled, so that nothing but requests piles up for a slow follower. They end after `gone`. */
  readonly news: AsyncIterable<ContextNews>;
}

/**
 * All that happens in a context from now on: its executions one after the other, each from its beginning to its end with
 * its outputs, those that run or wait already as well; restarts; its end. Resolves when nothing more can be missed.
 * @throws NOT_FOUND; from `news`, QUEUE_FULL if the follower is too far behind
 */
export async function followContext(
  deps: Pick<ServiceDeps, 'database' | 'sharedOutput'>,
  principal: Principal,
  contextId: string,
  { gone }: FollowContextOptions,
): Promise<FollowedContext> {
  const found = await kernel(deps, principal, contextId);
  if (found === null) throw noContext(contextId);
  const feed = await createContextFeed(deps.database, found, gone);
  gone.addEventListener('abort', feed.close, { once: true });
  if (gone.aborted) feed.close();
  return { kernel: found, news: newsOf(deps, principal, feed, gone) };
}

async function* newsOf(
  deps: Pick<ServiceDeps, 'database' | 'sharedOutput'>,
  principal: Principal,
  feed: ContextFeed,
  gone: AbortSignal,
): AsyncGenerator<ContextNews> {
  for (;;) {
    const next = await feed.next();
    if (next === null) return;
    if ('type' in next) {
      yield next;
      continue;
    }
    const { execution, code } = next;
    if (execution.startedAt !== null) {
      yield { type: 'begun', execution, code };
      yield* outputsOf(deps, principal, execution, gone);
    }
    const ended = await feed.ended(execution.id);
    if (ended === null) return;
    yield { type: 'ended', execution: ended };
  }
}

async function* outputsOf(
  deps: Pick<ServiceDeps, 'database' | 'sharedOutput'>,
  { ending }: Principal,
  execution: Execution,
  gone: AbortSignal,
): AsyncGenerator<ContextNews> {
  const items = followOutput(deps, execution.id, 0, ending);
  const stop = () => void items.return?.();
  gone.addEventListener('abort', stop, { once: true });
  try {
    for await (const item of items) {
      if (item.output.kind !== 'finish') yield { type: 'output', execution, item };
    }
  } finally {
    gone.removeEventListener('abort', stop);
  }
}
