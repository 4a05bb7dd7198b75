/**
 * What happens in one context, as the feed of events tells it. An execution is given when it has begun, or has ended
 * without that; until then it waits here. Restarts are given before executions that wait, and the end of the context
 * after them. Nothing is read from the database but what was unfinished when the feed began, and what its follower has
 * missed.
 */
import { type ContextPlace, WHOLE } from '../../domain/contextPlace.ts';
import { DomainError } from '../../domain/errors.ts';
import type { RecordedEvent } from '../../domain/events.ts';
import { type Execution, type ExecutionEvent, evolveExecution } from '../../domain/execution.ts';
import type { ContextId, ExecutionId, SessionId } from '../../domain/ids.ts';
import type { Session } from '../../domain/session.ts';
import type { Database } from '../../events/database.ts';
import { followFeed } from '../../events/followFeed.ts';
import type { KernelView } from '../contexts/kernelView.ts';

/** How much may wait for a follower that is slower than the executions. */
const MAX_WAITING_CODE_BYTES = 16 * 1024 * 1024;
const MAX_WAITING = 1_000;
/** How many executions that ended while a follower was away it is given: the latest. The other half is for new ones. */
const MAX_MISSED = { count: MAX_WAITING / 2, codeBytes: MAX_WAITING_CODE_BYTES / 2 };

/** What happens to a kernel beside its executions. */
export type KernelNews =
  | { readonly type: 'restarting' }
  | { readonly type: 'restarted'; readonly kernelRestarts: number; readonly byUser: boolean }
  | { readonly type: 'gone' };

export interface Tracked {
  readonly execution: Execution;
  readonly code: string;
  /** That of its request: executions are given in this order. */
  readonly position: number;
}

export interface ContextFeed {
  /** The position of the first execution that was there when the feed began. Null: there was none. */
  readonly first: number | null;
  /** What comes next. Null: the follower has gone. @throws DomainError if the follower is too far behind */
  next(): Promise<KernelNews | Tracked | null>;
  /** The execution when it has ended. Null: the follower has gone first. */
  ended(id: ExecutionId): Promise<Execution | null>;
  close(): void;
}

/** @param after how far the follower has come before. Null: what has ended is not given */
export async function createContextFeed(
  { queries, wakeUps }: Pick<Database, 'queries' | 'wakeUps'>,
  { context }: KernelView,
  gone: AbortSignal,
  after: ContextPlace | null = null,
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

  /** A follower that sends to a slow reader asks for nothing meanwhile, so what it misses is dropped now. */
  function fallBehind(): void {
    isTooFarBehind = true;
    waiting.clear();
    off();
  }

  /** False: it is no execution of this context. */
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

  /** Each follower gets the events of all contexts. Only those of its own may wake it. */
  const take = (recorded: RecordedEvent) => void (takes(recorded) && wake());

  /** Whether it tells something of this context. */
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
    // Nobody gets the feed, so nobody would close it, and it would keep every event.
    off();
    throw error;
  }

  /** Sleeps until an event of this context is heard, or the follower has gone. */
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

/** What is unfinished, and what a follower who comes back has missed, in order. */
async function atTheBeginning(
  queries: Database['queries'],
  session: Session,
  contextId: string,
  after: ContextPlace | null,
): Promise<readonly Tracked[]> {
  const from = after === null ? null : after.seq === WHOLE ? after.position + 1 : after.position;
  return await queries.contextExecutions({ session, contextId, from, maxEnded: MAX_MISSED });
}

function tooFarBehind(): DomainError {
  return new DomainError(
    'QUEUE_FULL',
    'More executions wait for this reader than are kept for it.',
  );
}
