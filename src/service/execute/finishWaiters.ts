/** Waits for the ends of executions, and for their beginnings, whichever gateway records them. */
import { within } from '../../async/within.ts';
import type { DomainEvent, RecordedEvent } from '../../domain/events.ts';
import { type Execution, type ExecutionEvent, evolveExecution } from '../../domain/execution.ts';
import type { ExecutionId } from '../../domain/ids.ts';
import type { Database } from '../../events/database.ts';
import type { Queries } from '../../events/queries/createQueries.ts';

/**
 * The event feed reports ends. Reads at this interval cover the case that the feed was interrupted when an end came.
 */
const POLL_INTERVAL_MS = 5_000;

export interface FinishWaiters {
  /**
   * Follows the events of an execution that is about to be recorded, until the returned function is called. While an
   * execution is followed, none of its events is missed. So a `wait` that begins later needs no read, even if another
   * gateway has already run the execution.
   */
  follow(id: ExecutionId): () => void;
  /**
   * Resolves with the execution once it is finished.
   * @param execution the state that the caller knows
   * @throws the signal's reason
   */
  wait(execution: Execution, signal: AbortSignal): Promise<Execution>;
  /** Like {@link wait}, but resolves once the execution has begun, or has ended without having begun. */
  waitForStart(execution: Execution, signal: AbortSignal): Promise<Execution>;
  apply(event: RecordedEvent): void;
}

interface Waiter {
  readonly wake: () => void;
  readonly isDone: (execution: Execution) => boolean;
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

  async function waitUntil(
    isDone: Waiter['isDone'],
    execution: Execution,
    signal: AbortSignal,
  ): Promise<Execution> {
    let wake = () => {};
    const waiter = { wake: () => wake(), isDone };
    const entry = watch(execution.id, false, waiter);
    learn(entry, execution);
    signal.addEventListener('abort', waiter.wake, { once: true });
    try {
      while (!isDue(entry, waiter)) {
        signal.throwIfAborted();
        if (entry.isBehind) {
          await catchUp(execution.id, entry);
          continue;
        }
        const woken = new Promise<void>((resolve) => {
          wake = resolve;
        });
        await within(POLL_INTERVAL_MS, woken, () => {
          entry.isBehind = true;
        });
      }
      return entry.execution ?? execution;
    } finally {
      signal.removeEventListener('abort', waiter.wake);
      leave(execution.id, entry, waiter);
    }
  }

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

  function leave(id: ExecutionId, entry: Watched, waiter: Waiter): void {
    entry.waiters.delete(waiter);
    if (entry.waiters.size === 0 && watched.get(id) === entry) watched.delete(id);
  }

  async function catchUp(id: ExecutionId, entry: Watched): Promise<void> {
    entry.isBehind = false;
    learn(entry, await queries.execution(id));
    wakeIfDue(entry);
  }

  return {
    follow: (id) => {
      const waiter = { wake: () => undefined, isDone: isFinished };
      const entry = watch(id, true, waiter);
      return () => leave(id, entry, waiter);
    },
    wait: (execution, signal) => waitUntil(isFinished, execution, signal),
    waitForStart: (execution, signal) => waitUntil(hasBegun, execution, signal),
    apply: ({ event, streamKind, streamId, version }) => {
      const entry = streamKind === 'execution' ? watched.get(streamId as ExecutionId) : undefined;
      const known = entry?.execution?.version ?? 0;
      if (!entry || version <= known) return;
      if (version === known + 1)
        entry.execution = evolveExecution(entry.execution, event as ExecutionEvent);
      else entry.isBehind = true;
      wakeIfDue(entry);
    },
  };
}

function learn(entry: Watched, execution: Execution | null): void {
  if (execution && execution.version > (entry.execution?.version ?? 0)) entry.execution = execution;
}

/**
 * Wakes the waiters that have what they wait for. If events may have been missed, wakes all waiters, so that one of
 * them reads the row.
 */
function wakeIfDue(entry: Watched): void {
  for (const waiter of entry.waiters) if (entry.isBehind || isDue(entry, waiter)) waiter.wake();
}

function isDue({ execution }: Watched, { isDone }: Waiter): boolean {
  return execution !== null && isDone(execution);
}

function isFinished({ finishedAt }: Execution): boolean {
  return finishedAt !== null;
}

function hasBegun({ startedAt, finishedAt }: Execution): boolean {
  return startedAt !== null || finishedAt !== null;
}

/**
 * Calls `listener` with each event that this gateway has recorded. Returns a function that removes the listener. Events
 * that other gateways recorded are left out, so that the sum of all gateways' counts is right.
 */
export function onOwnEvents(
  { gatewayId, wakeUps }: Pick<Database, 'gatewayId' | 'wakeUps'>,
  listener: (event: DomainEvent) => void,
): () => void {
  return wakeUps.onEvent(({ event, metadata }) => {
    if (metadata.gatewayId === gatewayId) listener(event);
  });
}
