/**
 * Stores the facts and output that a worker has sent, one commit after another. The end of an execution is stored
 * immediately. Output is stored after {@link flushDelayMs}, which is very short after a quiet time, or as soon as
 * {@link FLUSH_BYTES} have gathered. While the database is away, the writer keeps the batch, pauses the channel and
 * retries. It never drops anything.
 */

import type { Logger } from 'pino';
import { untilDone } from '../async/untilDone.ts';
import type { Context } from '../domain/context.ts';
import { messageOf } from '../domain/errors.ts';
import { type Execution, queueOf } from '../domain/execution.ts';
import { isCommand } from '../domain/executionOptions.ts';
import type { ExecutionId } from '../domain/ids.ts';
import type { MessageCounts } from '../domain/messageCounts.ts';
import type { Session } from '../domain/session.ts';
import {
  type Commit,
  ConcurrencyError,
  type Cursor,
  type EventStore,
  FencedError,
  LimitError,
  type QueueSize,
} from '../events/store/eventStore.ts';
import {
  type Batch,
  batchCommit,
  emptyBatch,
  endingWithoutAnswer,
  type Job,
  type Segment,
  type StoredWorker,
  segmentOf,
} from './batch.ts';
import type { HeldWorkerDeps } from './heldWorker.ts';
import type { Lanes } from './lanes.ts';

/** A timer that rings once, at the earliest time requested. */
interface Alarm {
  within(ms: number): void;
  cancel(): void;
}

function createAlarm(ring: () => void): Alarm {
  let timer: NodeJS.Timeout | null = null;
  let ringsAt = 0;
  const cancel = () => {
    if (timer !== null) clearTimeout(timer);
    timer = null;
  };
  return {
    within: (ms) => {
      const at = Date.now() + ms;
      if (timer !== null && at >= ringsAt) return;
      cancel();
      ringsAt = at;
      timer = setTimeout(ring, ms);
    },
    cancel,
  };
}

// How long output may wait before it is stored.

/** The usual wait, which is also how far readers lag behind the worker. */
const FLUSH_DELAY_MS = 25;
/** How long the first output after a quiet time waits, so that output and end of a short run share one commit. */
const FIRST_FLUSH_DELAY_MS = 2;
/** Sending an event to a follower takes about 0.1 ms of CPU. This delay leaves more than half of the time to others. */
const FLUSH_DELAY_PER_FOLLOWER_MS = 0.25;
/** A delay that people still perceive as immediate. */
const MAX_FLUSH_DELAY_MS = 250;

/**
 * The delay in milliseconds. It is the same for up to a hundred followers, and grows with their number beyond that.
 * @param sinceLastMs how long ago output was last stored
 */
export function flushDelayMs(sinceLastMs: number, followers: number): number {
  const wide = Math.min(followers * FLUSH_DELAY_PER_FOLLOWER_MS, MAX_FLUSH_DELAY_MS);
  const delayMs = Math.max(FLUSH_DELAY_MS, wide);
  return sinceLastMs >= delayMs ? FIRST_FLUSH_DELAY_MS : delayMs;
}

interface AddStoppedDeps {
  readonly lanes: Pick<Lanes, 'find' | 'progressOf' | 'ignore'>;
  /** Takes a job out of its lane (`receiving.ts`). */
  readonly takeOut: (job: Job) => void;
  /** The worker's unfinished executions, as they are recorded, in the order of acceptance. */
  readonly readUnfinished: () => Promise<readonly Execution[]>;
  /** The batch that will be stored after the given one. */
  readonly next: () => Batch;
  readonly now: () => Date;
}

/**
 * Ends all executions that are queued behind the batch's {@link Batch.stops} and have not begun, whichever gateway
 * accepted them. Adds these ends to the batch. Until the batch is stored, nothing in these queues begins
 * (`receiving.ts`). May be called again with the same batch.
 *
 * A command that the former holder may have sent is interrupted instead, because only the agent knows whether it runs.
 * @returns the sizes of the queues as they were read. If another execution is accepted before the batch is stored, the
 * sizes no longer match, the commit is refused, and the queues must be read again
 */
export async function addStopped(
  deps: AddStoppedDeps,
  batch: Batch,
): Promise<readonly QueueSize[]> {
  if (batch.stops.length === 0) return [];
  const unfinished = await deps.readUnfinished();
  return batch.stops.flatMap(({ execution: of }) => {
    const queue = unfinished.filter((each) => queueOf(each) === queueOf(of));
    const place = queue.findIndex(({ id }) => id === of.id);
    // The end of this job is already stored: by an earlier attempt whose answer was lost, or by the gateway that ended
    // the worker.
    if (place < 0) return [];
    for (const each of queue.slice(place + 1)) addOne(deps, batch, { execution: each, by: of.id });
    return [{ of, count: queue.length }];
  });
}

function addOne(
  { lanes, takeOut, next, now }: AddStoppedDeps,
  batch: Batch,
  { execution, by }: { readonly execution: Execution; readonly by: ExecutionId },
): void {
  const { id } = execution;
  if (endsIn(batch, id) || endsIn(next(), id)) return;
  const known = lanes.find(id);
  const job = known ?? unheardOf(execution);
  if (lanes.progressOf(job) !== null || execution.startedAt !== null) return;
  if (execution.version > job.execution.version) job.execution = execution;
  if (job.isTakenOver && isCommand(execution)) {
    segmentOf(batch, job).interruptedAt = now();
    return;
  }
  if (known) takeOut(known);
  else lanes.ignore(id);
  // An execution that never ran has lost nothing. The next execution that runs reports the loss.
  const ending = { ...endingWithoutAnswer('CANCELLED', false, null), stoppedBy: by };
  segmentOf(batch, job).end = { at: now(), ending };
}

function endsIn({ segments }: Batch, id: ExecutionId): boolean {
  return segments.some(({ job, end }) => end !== null && job.execution.id === id);
}

/**
 * The job of an execution that the event feed has not reported yet. Its code was not read, because it will not be sent.
 */
function unheardOf(execution: Execution): Job {
  return { execution, code: '', isTakenOver: false, nextSeq: 1, stateLost: false };
}

/**
 * Reads again the executions that another writer may have changed. A commit may have succeeded although its answer was
 * lost. Outputs that it stored are removed from the segments, so that they are not stored twice.
 */
export async function reloadSegments(
  { reloadExecution, lastSeq }: Pick<HeldWorkerDeps, 'reloadExecution' | 'lastSeq'>,
  segments: readonly Segment[],
): Promise<void> {
  for (const { job, outputs } of segments) {
    const { id } = job.execution;
    job.execution = (await reloadExecution(id)) ?? job.execution;
    const stored = Math.max(0, (await lastSeq(id)) + 1 - job.nextSeq);
    outputs.splice(0, stored);
    job.nextSeq += stored;
  }
}

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
  readonly messageCounts: Pick<MessageCounts, 'storeRetries'>;
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
  /** Called when this gateway may write nothing more of the worker ({@link FencedError}). */
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

  // A message that adds only its `seq` is not stored alone, but with the next message that adds more. Until then, the
  // agent keeps it.
  const isEmpty = () =>
    batch.segments.length + batch.kernelRestarts.length + batch.contextFacts.length === 0;
  const isDue = () =>
    batch.size >= FLUSH_BYTES ||
    batch.contextFacts.length > 0 ||
    batch.segments.some(({ end }) => end !== null);

  async function storeDue(): Promise<void> {
    do {
      // This is called before the batch is taken, so that an error here loses nothing of the batch.
      deps.holdBack(false);
      const taken = batch;
      const upTo = additions;
      // The progress in the cursor must match the batch exactly, so both are taken at the same time.
      const cursor = deps.cursor();
      batch = emptyBatch();
      const previousSeq = seq;
      seq = taken.seq ?? seq;
      await storeUntilDone(deps, taken, { ...cursor, seq, previousSeq }, stopped);
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
  cursor: NonNullable<Commit['cursor']>,
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
    } else {
      deps.messageCounts.storeRetries += 1;
      deps.logger.error({ error: messageOf(error) }, 'could not store output; trying again');
    }
    return RETRY_DELAY_MS;
  });
}

async function storeOnce(
  deps: WriterDeps,
  taken: Batch,
  cursor: NonNullable<Commit['cursor']>,
): Promise<void> {
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
