/** Waits for the starts and ends of executions, whichever gateway records them. */

import { within } from '../../async/within.ts';
import type { RecordedEvent } from '../../domain/events.ts';
import { type Execution, type ExecutionEvent, evolveExecution } from '../../domain/execution.ts';
import type { ExecutionId } from '../../domain/ids.ts';
import type { Queries } from '../../events/queries/createQueries.ts';

/**
 * The event feed reports ends. Reads at this interval cover the case that the feed was interrupted when an end came.
 */
const LOOK_INTERVAL_MS = 5_000;

export interface FinishWaiters {
  /**
   * Follows the events of an execution that is about to be recorded, until the returned function is called. While an
   * execution is followed, none of its events is missed. So a `wait` that begins later needs no read, even if another
   * gateway has already run the execution.
   */
  follow(id: ExecutionId): () => void;
  /**
   * Resolves with the execution once it is `until`: finished, if that is left out.
   * @param execution the state that the caller knows
   * @throws the signal's reason
   */
  wait(execution: Execution, signal: AbortSignal, until?: Until): Promise<Execution>;
  apply(event: RecordedEvent): void;
}

type Until = (execution: Execution) => boolean;

const isFinished: Until = ({ finishedAt }) => finishedAt !== null;
/** Whether it has begun. Also true if it has ended without that. */
export const isUnderWay: Until = (execution) =>
  execution.startedAt !== null || isFinished(execution);

interface Waiter {
  readonly until: Until;
  readonly wake: () => void;
}

/** An execution with waiters. Its state follows the events of the feed. */
interface Watched {
  /** Null until its first event has come. */
  execution: Execution | null;
  /** Whether events may have been missed, so that the row must be read. */
  isBehind: boolean;
  readonly waiters: Set<Waiter>;
}

export function createFinishWaiters(queries: Pick<Queries, 'execution'>): FinishWaiters {
  const watched = new Map<ExecutionId, Watched>();

  function watch(id: ExecutionId, isFromTheFirst: boolean, waiter: Waiter): Watched {
    const entry = watched.get(id) ?? {
      execution: null,
      isBehind: !isFromTheFirst,
      waiters: new Set(),
    };
    entry.waiters.add(waiter);
    watched.set(id, entry);
    return entry;
  }

  function leave(id: ExecutionId, { waiters }: Watched, waiter: Waiter): void {
    waiters.delete(waiter);
    if (waiters.size === 0) watched.delete(id);
  }

  async function catchUp(id: ExecutionId, entry: Watched): Promise<void> {
    entry.isBehind = false;
    learn(entry, await queries.execution(id));
    wakeReached(entry);
  }

  return {
    follow: (id) => {
      const waiter = { until: () => false, wake: () => undefined };
      const entry = watch(id, true, waiter);
      return () => leave(id, entry, waiter);
    },
    wait: async (execution, signal, until = isFinished) => {
      let wake = () => {};
      const onNews = () => wake();
      const waiter = { until, wake: onNews };
      const entry = watch(execution.id, false, waiter);
      learn(entry, execution);
      signal.addEventListener('abort', onNews, { once: true });
      try {
        while (!hasReached(entry, waiter)) {
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
        leave(execution.id, entry, waiter);
      }
    },
    apply: ({ event, streamKind, streamId, version }) => {
      const entry = streamKind === 'execution' ? watched.get(streamId as ExecutionId) : undefined;
      const known = entry?.execution?.version ?? 0;
      if (!entry || version <= known) return;
      if (version === known + 1)
        entry.execution = evolveExecution(entry.execution, event as ExecutionEvent);
      else entry.isBehind = true;
      wakeReached(entry);
    },
  };
}

function learn(entry: Watched, execution: Execution | null): void {
  if (execution && execution.version > (entry.execution?.version ?? 0)) entry.execution = execution;
}

/** Wakes the waiters who have what they wait for. If events may have been missed, all of them: one must read. */
function wakeReached(entry: Watched): void {
  for (const waiter of entry.waiters)
    if (entry.isBehind || hasReached(entry, waiter)) waiter.wake();
}

function hasReached({ execution }: Watched, { until }: Waiter): boolean {
  return execution !== null && until(execution);
}
