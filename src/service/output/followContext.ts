import { onAbort } from '../../async/onAbort.ts';
import {
  ALL_DELIVERED,
  type ContextOffset,
  isDelivered,
  NOTHING_DELIVERED,
} from '../../domain/context.ts';
import type { Execution } from '../../domain/execution.ts';
import type { OutputItem } from '../../domain/output.ts';
import { type KernelView, kernel, openSessionOf } from '../contexts/kernels.ts';
import type { Principal } from '../principal.ts';
import { noContext } from '../refusal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { type ContextFeed, createContextFeed, type KernelNews } from './contextFeed.ts';
import { readerOf } from './contextReaders.ts';
import { outputsUntil } from './followOutput.ts';

/** What happens to an execution. If it ends before it has begun, only its end is reported. */
export type ExecutionNews =
  | { readonly type: 'begun'; readonly execution: Execution; readonly code: string }
  | { readonly type: 'output'; readonly execution: Execution; readonly item: OutputItem }
  | { readonly type: 'ended'; readonly execution: Execution };

/** The offset of a piece of news among all news of its context. */
export interface AtOffset {
  /** The offset that a follower has reached with this piece of news. */
  readonly offset: ContextOffset;
  /**
   * Whether the follower has already acknowledged it. It is reported again, because later news of the same execution
   * may need it.
   */
  readonly isDelivered: boolean;
}

/** A piece of news that a follower of a context gets. */
export type ContextNews = KernelNews | (ExecutionNews & AtOffset);

export interface FollowContextOptions {
  /** Aborted when the follower goes. From then on there is no more news. */
  readonly gone: AbortSignal;
  /**
   * The follower's name. A follower that returns under the same name gets what it missed. Null: nothing is remembered.
   */
  readonly reader: string | null;
}

export interface FollowedContext {
  readonly kernel: KernelView;
  /**
   * The follower pulls the news. If it is slow, accepted executions wait in memory with their code, but without their
   * outputs. `gone` ends the news.
   */
  readonly news: AsyncIterable<ContextNews>;
  /** Must be called when the follower has got the news with this offset, and all news before it. */
  reached(offset: ContextOffset): void;
  /** Resolves when the offset that the follower has reached is in the database, where every gateway finds it. */
  recorded(): Promise<void>;
}

type FollowContextDeps = Pick<
  ServiceDeps,
  'database' | 'sharedOutput' | 'contextReaders' | 'sessions' | 'sessionUses'
>;

/**
 * Reports all that happens in a context from now on: its executions, its restarts and its end. Executions come one
 * after the other, each from its beginning to its end, with its outputs. Those that already run or wait are included. A
 * follower that returns under the same name also gets the executions that have ended meanwhile
 * (docs/decisions/0061-readers-acknowledge.md).
 * Until the follower goes, the session does not end as idle. Resolves when nothing more can be missed.
 * @throws NOT_FOUND; from `news`, QUEUE_FULL if the follower is too far behind
 */
export async function followContext(
  deps: FollowContextDeps,
  principal: Principal,
  contextId: string,
  { gone, reader: name }: FollowContextOptions,
): Promise<FollowedContext> {
  const { database, contextReaders } = deps;
  const found = await kernel(deps, principal, contextId);
  if (found === null) throw noContext(contextId);
  const reader = name === null ? null : readerOf(found.context, name);
  const reached = reader && (await contextReaders.find(reader));
  // Every execution that is accepted after this position is reported.
  const now = reader && reached === null ? await database.store.lastPosition() : 0;
  const feed = await createContextFeed(database, found, gone, reached);
  onAbort(gone, feed.close);
  try {
    if (reader && reached === null) await contextReaders.begin(reader, firstPlace(feed, now));
    await countAsUse(deps, found, gone);
  } catch (error: unknown) {
    feed.close();
    throw error;
  }
  return {
    kernel: found,
    news: newsOf(deps, principal, { feed, gone, before: reached }),
    reached: (offset) => reader && contextReaders.reached(reader, offset),
    recorded: contextReaders.recorded,
  };
}

/** Counts the follower as a use of the session until it goes. */
async function countAsUse(
  deps: FollowContextDeps,
  { tenant, userUuid, context }: KernelView,
  gone: AbortSignal,
): Promise<void> {
  const session = await openSessionOf(deps, { tenant, userUuid });
  if (session?.id !== context.sessionId || gone.aborted) return;
  gone.addEventListener('abort', deps.sessionUses.hold(session), { once: true });
}

/** The offset where a new reader begins: before all news that it will get. */
function firstPlace({ first }: ContextFeed, now: number): ContextOffset {
  return first === null
    ? { position: now, seq: ALL_DELIVERED }
    : { position: first, seq: NOTHING_DELIVERED };
}

interface Following {
  readonly feed: ContextFeed;
  readonly gone: AbortSignal;
  /** The offset that the follower had reached before. */
  readonly before: ContextOffset | null;
}

async function* newsOf(
  deps: FollowContextDeps,
  { tokenEnd }: Principal,
  { feed, gone, before }: Following,
): AsyncGenerator<ContextNews> {
  for (;;) {
    const next = await feed.next();
    if (next === null) return;
    if ('type' in next) {
      yield next;
      continue;
    }
    const { execution, code, position } = next;
    const at = (seq: number) => {
      const offset = { position, seq };
      return { offset, isDelivered: isDelivered(offset, before) };
    };
    if (execution.startedAt !== null) {
      yield { type: 'begun', execution, code, ...at(0) };
      for await (const item of outputsUntil(deps, execution.id, { tokenEnd, gone }))
        yield { type: 'output', execution, item, ...at(item.seq) };
    }
    const ended = await feed.ended(execution.id);
    if (ended === null) return;
    yield { type: 'ended', execution: ended, ...at(ALL_DELIVERED) };
  }
}
