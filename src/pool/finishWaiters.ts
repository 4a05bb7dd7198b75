/** Wakes whoever waits for an execution's end, on whichever gateway it runs. */
import type { ExecutionEvent, RecordedEvent } from '../events/eventTypes.ts';
import { evolveExecution } from '../events/projections/evolveExecution.ts';
import type { Queries } from '../events/queries/queries.ts';
import type { Execution } from '../events/states.ts';

/** Ends are told by the event feed; this is for the case that the feed itself was cut off while one came. */
const LOOK_INTERVAL_MS = 5_000;

export interface FinishWaiters {
  /**
   * Resolves with the execution once it has finished; `execution` is what the caller knows of it, and nothing is read as long
   * as the feed goes on from there. @throws the signal's reason
   */
  wait(execution: Execution, signal: AbortSignal): Promise<Execution>;
  apply(event: RecordedEvent): void;
}

/** One execution that is waited for, folded along with the feed. */
interface Watched {
  execution: Execution;
  readonly wakers: Set<() => void>;
}

export function createFinishWaiters(queries: Queries): FinishWaiters {
  const watched = new Map<string, Watched>();

  function watch(execution: Execution): Watched {
    const entry = watched.get(execution.id) ?? { execution, wakers: new Set() };
    if (execution.version > entry.execution.version) entry.execution = execution;
    watched.set(execution.id, entry);
    return entry;
  }

  return {
    wait: async (execution, signal) => {
      const entry = watch(execution);
      let wake = () => {};
      const onNews = () => wake();
      entry.wakers.add(onNews);
      signal.addEventListener('abort', onNews, { once: true });
      try {
        while (entry.execution.finishedAt === null) {
          signal.throwIfAborted();
          const isTold = await newsOrTimeout((resolve) => {
            wake = resolve;
          });
          const read = isTold ? null : await queries.execution(execution.id);
          if (read && read.version > entry.execution.version) entry.execution = read;
        }
        return entry.execution;
      } finally {
        signal.removeEventListener('abort', onNews);
        entry.wakers.delete(onNews);
        if (entry.wakers.size === 0) watched.delete(execution.id);
      }
    },
    apply: ({ event, streamKind, streamId, version }) => {
      const entry = watched.get(streamId);
      if (streamKind !== 'execution' || !entry || version !== entry.execution.version + 1) return;
      entry.execution = evolveExecution(entry.execution, event as ExecutionEvent);
      if (entry.execution.finishedAt !== null) for (const wake of entry.wakers) wake();
    },
  };
}

/** True: woken. False: {@link LOOK_INTERVAL_MS} passed. */
async function newsOrTimeout(onWake: (wake: () => void) => void): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  try {
    return await new Promise<boolean>((resolve) => {
      onWake(() => resolve(true));
      timer = setTimeout(() => resolve(false), LOOK_INTERVAL_MS);
    });
  } finally {
    clearTimeout(timer);
  }
}
