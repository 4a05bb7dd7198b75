/** Wakes whoever waits for an execution's end, on whichever gateway it runs. */

import { within } from '../../async/within.ts';
import type { RecordedEvent } from '../../domain/events.ts';
import { type Execution, type ExecutionEvent, evolveExecution } from '../../domain/execution.ts';
import type { ExecutionId } from '../../domain/ids.ts';
import type { Queries } from '../../events/queries/createQueries.ts';

/** Ends are told by the event feed; this is for the case that the feed itself was cut off while one came. */
const LOOK_INTERVAL_MS = 5_000;

export interface FinishWaiters {
  /**
   * Follows an execution that is just about to be recorded, until the function it gives is called: whoever waits for it then has
   * missed none of its events, however fast another gateway ran it, and reads nothing.
   */
  follow(id: ExecutionId): () => void;
  /** Resolves with the execution once it has finished; `execution` is what the caller knows of it. @throws the signal's reason */
  wait(execution: Execution, signal: AbortSignal): Promise<Execution>;
  apply(event: RecordedEvent): void;
}

/** One execution that is waited for, folded along with the feed. */
interface Watched {
  /** Null: its first event has not been told yet. */
  execution: Execution | null;
  /** Something was told, or may have been, before it was followed: its row has to be read. */
  isBehind: boolean;
  readonly wakers: Set<() => void>;
}

export function createFinishWaiters(queries: Pick<Queries, 'execution'>): FinishWaiters {
  const watched = new Map<ExecutionId, Watched>();

  function watch(id: ExecutionId, isFromTheFirst: boolean, waker: () => void): Watched {
    const entry = watched.get(id) ?? {
      execution: null,
      isBehind: !isFromTheFirst,
      wakers: new Set(),
    };
    entry.wakers.add(waker);
    watched.set(id, entry);
    return entry;
  }

  function leave(id: ExecutionId, { wakers }: Watched, waker: () => void): void {
    wakers.delete(waker);
    if (wakers.size === 0) watched.delete(id);
  }

  async function catchUp(id: ExecutionId, entry: Watched): Promise<void> {
    entry.isBehind = false;
    learn(entry, await queries.execution(id));
    if (isFinished(entry)) for (const wake of entry.wakers) wake();
  }

  return {
    follow: (id) => {
      const waker = () => undefined;
      const entry = watch(id, true, waker);
      return () => leave(id, entry, waker);
    },
    wait: async (execution, signal) => {
      let wake = () => {};
      const onNews = () => wake();
      const entry = watch(execution.id, false, onNews);
      learn(entry, execution);
      signal.addEventListener('abort', onNews, { once: true });
      try {
        while (!isFinished(entry)) {
          signal.throwIfAborted();
          if (entry.isBehind) {
            await catchUp(execution.id, entry);
            continue;
          }
          const told = new Promise<void>((resolve) => {
            wake = resolve;
          });
          await within(LOOK_INTERVAL_MS, told, () => {
            entry.isBehind = true;
          });
        }
        return entry.execution ?? execution;
      } finally {
        signal.removeEventListener('abort', onNews);
        leave(execution.id, entry, onNews);
      }
    },
    apply: ({ event, streamKind, streamId, version }) => {
      const entry = streamKind === 'execution' ? watched.get(streamId as ExecutionId) : undefined;
      const known = entry?.execution?.version ?? 0;
      if (!entry || version <= known) return;
      if (version === known + 1)
        entry.execution = evolveExecution(entry.execution, event as ExecutionEvent);
      else entry.isBehind = true;
      if (entry.isBehind || isFinished(entry)) for (const wake of entry.wakers) wake();
    },
  };
}

function learn(entry: Watched, execution: Execution | null): void {
  if (execution && execution.version > (entry.execution?.version ?? 0)) entry.execution = execution;
}

function isFinished({ execution }: Watched): boolean {
  return execution !== null && execution.finishedAt !== null;
}
