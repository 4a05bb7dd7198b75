/**
 * Stores what comes from a worker, one commit after another. The end of an execution is stored immediately. Output is
 * stored after {@link flushDelayMs}, which is very short after a quiet time, or as soon as {@link FLUSH_BYTES} have
 * gathered. While the database is away, the writer keeps the batch, pauses the channel and retries. It never drops
 * anything.
 */
import type { Logger } from 'pino';
import { untilDone } from '../../async/untilDone.ts';
import type { Context } from '../../domain/context.ts';
import { messageOf } from '../../domain/errors.ts';
import type { Execution } from '../../domain/execution.ts';
import type { ExecutionId } from '../../domain/ids.ts';
import type { Session } from '../../domain/session.ts';
import {
  ConcurrencyError,
  type Cursor,
  type EventStore,
  FencedError,
  LimitError,
  type QueueSize,
} from '../../events/store/eventStore.ts';
import { createAlarm } from './alarm.ts';
import { type Batch, emptyBatch } from './batch.ts';
import { batchCommit, type StoredWorker } from './batchCommit.ts';
import { FLUSH_DELAY_MS, flushDelayMs } from './flushDelay.ts';

/** When this much is unstored, it is stored immediately. */
const FLUSH_BYTES = 64 * 1024;
/**
 * When this much is unstored, the channel is paused: further messages wait in the agent's replay buffer. So no commit
 * is much larger than this.
 */
const HOLD_BACK_BYTES = 256 * 1024;
const RETRY_DELAY_MS = 500;
/** Pause after a conflict with another writer. A second one is unlikely, but a defect must not cause a tight loop. */
const CONFLICT_DELAY_MS = 20;

export interface WriterDeps {
  readonly store: EventStore;
  readonly logger: Logger;
  readonly stored: () => StoredWorker;
  /** Adds the ends of the executions that the batch stops ({@link addStopped}). */
  readonly addStopped: (batch: Batch) => Promise<readonly QueueSize[]>;
  /** The cursor to store with the batch, without its `seq`. */
  readonly cursor: () => Omit<Cursor, 'seq'>;
  /** Reads again the states that another writer may have changed. */
  readonly reload: (batch: Batch) => Promise<void>;
  readonly onStored: (stored: {
    readonly seq: number | null;
    readonly session: Session | null;
    readonly contexts: readonly Context[];
  }) => void;
  /** Called when another gateway holds the worker. Nothing more is written. */
  readonly onFenced: () => void;
  /** The number of clients that follow a running execution on this gateway: the highest over all executions. */
  readonly followers: () => number;
  readonly holdBack: (isHeld: boolean) => void;
}

export interface Writer {
  readonly batch: Batch;
  /**
   * Call this after adding to `batch`: an end (stored now), output (stored after {@link flushDelayMs}), or only a start
   * (stored after {@link FLUSH_DELAY_MS}, because nobody waits for it).
   */
  added(what: 'end' | 'output' | 'start'): void;
  /** Resolves when everything added so far is stored, or when the writer is stopped. */
  drained(): Promise<void>;
  /** Begins no further commit. The agent still has everything that is not stored. */
  stop(): void;
}

export function createWriter(deps: WriterDeps, storedSeq: number): Writer {
  const stopped = new AbortController();
  const alarm = createAlarm(flush);
  let batch = emptyBatch();
  let seq = storedSeq;
  let storing: Promise<void> | null = null;
  let lastFlushAt = 0;
  /** The number of additions so far, and of those that are stored. */
  let additions = 0;
  let storedAdditions = 0;

  // A message that adds only its `seq` waits for one that stores something. The agent keeps it meanwhile.
  const isEmpty = () =>
    batch.segments.length + batch.kernelRestarts.length + batch.contextFacts.length === 0;
  const isDue = () =>
    batch.size >= FLUSH_BYTES ||
    batch.contextFacts.length > 0 ||
    batch.segments.some(({ end }) => end !== null);

  async function storeDue(): Promise<void> {
    do {
      // Before the batch is taken: whatever this throws, nothing of the batch is lost.
      deps.holdBack(false);
      const taken = batch;
      const upTo = additions;
      // The progress in the cursor must match the batch exactly, so both are taken at the same time.
      const cursor = deps.cursor();
      batch = emptyBatch();
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
      .catch((error: unknown) => deps.logger.error({ err: error }, "a worker's writer failed"))
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
      const isStart = what === 'start';
      alarm.within(
        isStart ? FLUSH_DELAY_MS : flushDelayMs(Date.now() - lastFlushAt, deps.followers()),
      );
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

/** Retries until the batch is stored, another gateway holds the worker, or the writer is stopped. */
async function storeUntilDone(
  deps: WriterDeps,
  taken: Batch,
  cursor: Cursor,
  stopped: AbortController,
): Promise<void> {
  let isStale = false;
  const attempt = async () => {
    if (isStale) await deps.reload(taken);
    isStale = false;
    await storeOnce(deps, taken, cursor);
  };
  await untilDone(stopped.signal, attempt, (error) => {
    // LimitError: another execution was accepted that the batch must stop, too.
    const isConflict = error instanceof ConcurrencyError || error instanceof LimitError;
    isStale ||= isConflict;
    if (isConflict) return CONFLICT_DELAY_MS;
    if (error instanceof FencedError) {
      stopped.abort();
      deps.onFenced();
    } else deps.logger.error({ error: messageOf(error) }, 'could not store output; trying again');
    return RETRY_DELAY_MS;
  });
}

async function storeOnce(deps: WriterDeps, taken: Batch, cursor: Cursor): Promise<void> {
  const knownQueues = await deps.addStopped(taken);
  const commit = batchCommit(taken, deps.stored(), knownQueues);
  const { streams } = commit;
  const committed = await deps.store.commit({ ...commit, cursor });
  const executions = new Map<ExecutionId, Execution>();
  const contexts: Context[] = [];
  let session: Session | null = null;
  committed.states.forEach((state, index) => {
    const append = streams[index];
    if (append?.stream === 'execution') executions.set(append.id, state as Execution);
    else if (append?.stream === 'session') session = state as Session;
    else if (append?.stream === 'context') contexts.push(state as Context);
  });
  for (const { job, outputs: stored, end } of taken.segments) {
    job.execution = executions.get(job.execution.id) ?? job.execution;
    job.nextSeq += stored.length + (end === null ? 0 : 1);
  }
  deps.onStored({ seq: taken.seq, session, contexts });
}
