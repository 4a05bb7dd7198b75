/**
 * The news of one context, from the event feed. An execution is returned once it has begun, or has ended without having
 * begun. Until then it waits here. Restarts are returned before waiting executions, and the end of the context after
 * them. Only two things are read from the database: the executions that were unfinished when the feed began, and those
 * that its follower has missed.
 */
import { ALL_DELIVERED, type ContextOffset } from '../../domain/context.ts';
import { DomainError } from '../../domain/errors.ts';
import type { RecordedEvent } from '../../domain/events.ts';
import { type Execution, type ExecutionEvent, evolveExecution } from '../../domain/execution.ts';
import type { ContextId, ExecutionId, SessionId } from '../../domain/ids.ts';
import type { Session } from '../../domain/session.ts';
import type { Database } from '../../events/database.ts';
import { followFeed } from '../../events/wakeUps/eventNews.ts';
import type { KernelView } from '../contexts/kernels.ts';

/** How much may wait for a follower that is slower than the executions. */
const MAX_WAITING_CODE_BYTES = 16 * 1024 * 1024;
const MAX_WAITING = 1_000;
/**
 * A follower that was away gets only the latest of the executions that ended meanwhile. They take at most half of each
 * limit, so that the other half stays for new executions.
 */
const MAX_MISSED = { count: MAX_WAITING / 2, codeBytes: MAX_WAITING_CODE_BYTES / 2 };

/** What happens to a kernel apart from its executions. */
export type KernelNews =
  | { readonly type: 'restarting' }
  | { readonly type: 'restarted'; readonly kernelRestarts: number; readonly byUser: boolean }
  | { readonly type: 'gone' };

export interface Tracked {
  readonly execution: Execution;
  readonly code: string;
  /** The position of the event of its request. Executions are returned in this order. */
  readonly position: number;
}

export interface ContextFeed {
  /** The position of the first execution that was read when the feed began. Null: none was read. */
  readonly first: number | null;
  /** The next news or execution. Null: the follower has gone. @throws DomainError if the follower is too far behind */
  next(): Promise<KernelNews | Tracked | null>;
  /** Resolves with the execution once it has ended. Null: the follower has gone before. */
  ended(id: ExecutionId): Promise<Execution | null>;
  close(): void;
}

/** @param after the offset that the follower has reached before. Null: executions that have ended are not returned */
export async function createContextFeed(
  { queries, wakeUps }: Pick<Database, 'queries' | 'wakeUps'>,
  { context }: KernelView,
  gone: AbortSignal,
  after: ContextOffset | null = null,
): Promise<ContextFeed> {
  const { id: contextId, sessionId, isDefault } = context;
  const news: KernelNews[] = [];
  const waiting = new Map<ExecutionId, Tracked>();
  const given = new Map<ExecutionId, Execution>();
  let codeBytes = 0;
  let isTooFarBehind = false;
  let { kernelRestarts } = context;
  /** The version of the context's stream that was read. Restarts up to it are counted already. */
  let readVersion = 0;
  let wake = () => {};

  function track({ execution, code, position }: Tracked): void {
    if (isTooFarBehind || waiting.has(execution.id) || given.has(execution.id)) return;
    waiting.set(execution.id, { execution, code, position });
    codeBytes += execution.codeBytes;
    if (waiting.size > MAX_WAITING || codeBytes > MAX_WAITING_CODE_BYTES) fallBehind();
  }

  /** Frees the memory at once: a follower that is sending to a slow reader may not call `next` for a long time. */
  function fallBehind(): void {
    isTooFarBehind = true;
    waiting.clear();
    off();
  }

  /** Applies an event to its execution. False: the execution is not tracked here, or the event is not the next one. */
  function change(id: ExecutionId, event: ExecutionEvent, version: number): boolean {
    const tracked = waiting.get(id);
    const before = tracked?.execution ?? given.get(id);
    if (!before || version !== before.version + 1) return false;
    const execution = evolveExecution(before, event);
    if (tracked) waiting.set(id, { ...tracked, execution });
    else given.set(id, execution);
    return true;
  }

  function restarted(reason: string): KernelNews {
    kernelRestarts += 1;
    return { type: 'restarted', kernelRestarts, byUser: reason === 'user' };
  }

  /** A feed gets the events of all contexts. Only those of its own context may wake its follower. */
  const take = (recorded: RecordedEvent) => void (takes(recorded) && wake());

  /** Takes in an event. Returns whether the event is about this context. */
  function takes({ event, streamId, version, position }: RecordedEvent): boolean {
    const isContext = streamId === contextId;
    switch (event.type) {
      case 'ExecutionRequested': {
        const { data } = event;
        const isHere = (data.contextId ?? data.sessionId) === contextId;
        if (!isHere || data.language === 'BASH') return false;
        track({ execution: evolveExecution(null, event), code: data.code, position });
        return true;
      }
      case 'InterruptRequested':
      case 'InputSent':
      case 'ExecutionStarted':
      case 'ExecutionFinished':
        return change(streamId as ExecutionId, event, version);
      case 'KernelRestartRequested':
      case 'ContextRestartRequested':
        if (!isContext || version <= readVersion) return false;
        news.push({ type: 'restarting' });
        return true;
      case 'KernelRestarted':
      case 'ContextRestarted':
        if (!isContext || version <= readVersion) return false;
        news.push(restarted(event.data.reason));
        return true;
      case 'SessionClosed':
        if (streamId === sessionId) news.push({ type: 'gone' });
        return streamId === sessionId;
      case 'ContextEnded':
        if (isContext) news.push({ type: 'gone' });
        return isContext;
      default:
        return false;
    }
  }

  let first: number | null = null;
  let isRead = false;
  const feed = followFeed((event) => {
    if (isRead) take(event);
  });
  const off = wakeUps.onEvent(feed.apply);
  gone.addEventListener('abort', () => wake(), { once: true });
  try {
    await feed.read(
      async () => {
        const session = await queries.session(sessionId as SessionId);
        if (session === null) return null;
        const [kernel = null] = isDefault
          ? [session]
          : await queries.contexts([contextId as ContextId]);
        return { kernel, found: await atTheBeginning(queries, session, contextId, after) };
      },
      (beginning) => {
        isRead = true;
        if (beginning === null) return;
        if (beginning.kernel) ({ kernelRestarts, version: readVersion } = beginning.kernel);
        for (const each of beginning.found) track(each);
        const [head] = waiting.values();
        first = head?.position ?? null;
      },
    );
  } catch (error: unknown) {
    // The caller gets no feed that it could close, so the listener would stay for ever.
    off();
    throw error;
  }

  /** Resolves when an event of this context arrives, or the follower has gone. */
  async function untilWoken(): Promise<void> {
    await new Promise<void>((resolve) => {
      wake = resolve;
      if (gone.aborted) resolve();
    });
  }

  return {
    first,
    next: async () => {
      for (;;) {
        if (gone.aborted) return null;
        if (isTooFarBehind) throw tooFarBehind();
        // Executions end a little later than their context.
        const isEarly = news[0]?.type === 'gone' && waiting.size > 0;
        const first = isEarly ? undefined : news.shift();
        if (first) return first;
        const [head] = waiting.values();
        if (head && (head.execution.startedAt !== null || head.execution.finishedAt !== null)) {
          waiting.delete(head.execution.id);
          codeBytes -= head.execution.codeBytes;
          given.set(head.execution.id, head.execution);
          return head;
        }
        await untilWoken();
      }
    },
    ended: async (id) => {
      for (;;) {
        const execution = given.get(id);
        if (gone.aborted || !execution) return null;
        if (execution.finishedAt !== null) {
          given.delete(id);
          return execution;
        }
        if (isTooFarBehind) throw tooFarBehind();
        await untilWoken();
      }
    },
    close: off,
  };
}

/** The executions that are unfinished, and those that a returning follower has missed, in order. */
async function atTheBeginning(
  queries: Database['queries'],
  session: Session,
  contextId: string,
  after: ContextOffset | null,
): Promise<readonly Tracked[]> {
  const from =
    after === null ? null : after.seq === ALL_DELIVERED ? after.position + 1 : after.position;
  return await queries.contextExecutions({ session, contextId, from, maxEnded: MAX_MISSED });
}

function tooFarBehind(): DomainError {
  return new DomainError(
    'QUEUE_FULL',
    'More executions wait for this reader than are kept for it.',
  );
}
