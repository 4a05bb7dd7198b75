/**
 * Stores what comes from a worker, one commit after another. When: at once for an end; after a blink for the first output of a
 * quiet worker; at most as late as {@link flushDelayMs} says, or {@link FLUSH_BYTES}, otherwise. While the database is away it
 * keeps the batch, holds the channel back, and tries again: nothing is dropped here.
 */
import type { Logger } from 'pino';
import { pause } from '../async/pause.ts';
import { messageOf } from '../domain/errors.ts';
import type { Execution } from '../domain/execution.ts';
import type { ExecutionId } from '../domain/ids.ts';
import type { Session } from '../domain/session.ts';
import {
  ConcurrencyError,
  type Cursor,
  type EventStore,
  FencedError,
} from '../events/store/eventStore.ts';
import { type Batch, emptyBatch, type Segment } from './batch.ts';
import { batchCommit } from './batchCommit.ts';
import { FLUSH_DELAY_MS, flushDelayMs } from './flushDelay.ts';

/** More than this unstored is stored at once. */
const FLUSH_BYTES = 64 * 1024;
/** More than this unstored, and the channel is held back: the agent's own bounded buffer then takes over. No commit is much larger. */
const HOLD_BACK_BYTES = 256 * 1024;
const RETRY_DELAY_MS = 500;
/** Somebody else wrote, and is unlikely to again; a defect must not turn in a tight loop. */
const CONFLICT_DELAY_MS = 20;

export interface WriterDeps {
  readonly store: EventStore;
  readonly logger: Logger;
  readonly session: () => Session | null;
  /** The cursor that goes with the batch, `seq` aside. */
  readonly cursor: () => Omit<Cursor, 'seq'>;
  /** Reads again what somebody else may have written. */
  readonly reload: (segments: readonly Segment[]) => Promise<void>;
  readonly onStored: (stored: {
    readonly seq: number | null;
    readonly session: Session | null;
  }) => void;
  /** Another gateway holds the worker now; nothing more is written. */
  readonly onFenced: () => void;
  /** How many follow what is stored here. */
  readonly followers: () => number;
  readonly holdBack: (isHeld: boolean) => void;
}

export interface Writer {
  readonly batch: Batch;
  /** Something was added to `batch`: an end (stored now), output (soon), or a mere start (late enough to be joined). */
  added(what: 'end' | 'output' | 'start'): void;
  /** Resolves when everything added so far is stored, or the writer was stopped. */
  drained(): Promise<void>;
  /** No further commit is begun; what is not stored stays with the agent. */
  stop(): void;
}

export function createWriter(deps: WriterDeps, storedSeq: number): Writer {
  const stopped = new AbortController();
  const alarm = createAlarm(flush);
  let batch = emptyBatch();
  let seq = storedSeq;
  let storing: Promise<void> | null = null;
  let lastFlushAt = 0;
  /** Additions so far, and how many of them are stored. */
  let additions = 0;
  let storedAdditions = 0;

  // Messages that store nothing (a bare `seq`) wait for the next that does: the agent keeps them meanwhile.
  const isEmpty = () => batch.segments.length === 0 && batch.kernelRestarts.length === 0;
  const isDue = () => batch.size >= FLUSH_BYTES || batch.segments.some(({ end }) => end !== null);

  async function storeDue(): Promise<void> {
    do {
      const taken = batch;
      const upTo = additions;
      // The snapshot of the progress must be of the same instant as the batch it goes with.
      const cursor = deps.cursor();
      batch = emptyBatch();
      deps.holdBack(false);
      seq = taken.seq ?? seq;
      await storeUntilDone(deps, taken, { ...cursor, seq }, stopped);
      storedAdditions = upTo;
      lastFlushAt = Date.now();
    } while (!stopped.signal.aborted && isDue());
  }

  function flush(): void {
    alarm.cancel();
    if (isEmpty() || stopped.signal.aborted) return;
    storing ??= storeDue()
      .catch((error: unknown) => deps.logger.error({ err: error }, 'the writer of a worker failed'))
      .finally(() => {
        storing = null;
        if (!isEmpty()) schedule('output');
      });
  }

  function added(what: 'end' | 'output' | 'start'): void {
    if (stopped.signal.aborted) return;
    additions += 1;
    schedule(what);
  }

  function schedule(what: 'end' | 'output' | 'start'): void {
    if (batch.size >= HOLD_BACK_BYTES) deps.holdBack(true);
    if (what === 'end' || batch.size >= FLUSH_BYTES) {
      flush();
    } else if (storing === null) {
      const laterMs = flushDelayMs(Date.now() - lastFlushAt, deps.followers());
      alarm.within(what === 'start' ? FLUSH_DELAY_MS : laterMs);
    }
  }

  return {
    get batch() {
      return batch;
    },
    added,
    drained: async () => {
      const asked = additions;
      while (!stopped.signal.aborted && storedAdditions < asked) {
        flush();
        if (storing === null) return;
        await storing;
      }
    },
    stop: () => {
      stopped.abort();
      alarm.cancel();
    },
  };
}

/** Goes on until it is stored, another gateway holds the worker, or the writer was stopped. */
async function storeUntilDone(
  deps: WriterDeps,
  taken: Batch,
  cursor: Cursor,
  stopped: AbortController,
): Promise<void> {
  while (!stopped.signal.aborted) {
    try {
      return await storeOnce(deps, taken, cursor);
    } catch (error: unknown) {
      if (error instanceof FencedError) {
        stopped.abort();
        deps.onFenced();
      } else if (error instanceof ConcurrencyError) {
        await deps.reload(taken.segments);
        await pause(CONFLICT_DELAY_MS, stopped.signal);
      } else {
        deps.logger.error({ error: messageOf(error) }, 'could not store output; trying again');
        await pause(RETRY_DELAY_MS, stopped.signal);
      }
    }
  }
}

async function storeOnce(deps: WriterDeps, taken: Batch, cursor: Cursor): Promise<void> {
  const { streams, outputs } = batchCommit(taken, deps.session());
  const committed = await deps.store.commit({ streams, ...(outputs ? { outputs } : {}), cursor });
  const executions = new Map<ExecutionId, Execution>();
  let session: Session | null = null;
  committed.states.forEach((state, index) => {
    const append = streams[index];
    if (append?.stream === 'execution') executions.set(append.id, state as Execution);
    else if (append?.stream === 'session') session = state as Session;
  });
  for (const { job, outputs: stored, end } of taken.segments) {
    job.execution = executions.get(job.execution.id) ?? job.execution;
    job.nextSeq += stored.length + (end === null ? 0 : 1);
  }
  deps.onStored({ seq: taken.seq, session });
}

/** Rings once, at the earliest of the times that were asked for. */
function createAlarm(ring: () => void) {
  let timer: NodeJS.Timeout | null = null;
  let ringsAt = 0;
  const cancel = () => {
    if (timer !== null) clearTimeout(timer);
    timer = null;
  };
  return {
    within: (ms: number) => {
      const at = Date.now() + ms;
      if (timer !== null && at >= ringsAt) return;
      cancel();
      ringsAt = at;
      timer = setTimeout(ring, ms);
    },
    cancel,
  };
}
