import type { Execution } from '../../domain/execution.ts';
import { isCommand } from '../../domain/executionOptions.ts';
import type { ExecutionId } from '../../domain/ids.ts';
import { queueOf } from '../../domain/queueOf.ts';
import type { QueueSize } from '../../events/store/eventStore.ts';
import { endingWithoutAnswer } from '../endings.ts';
import type { Lanes } from '../lanes/lanes.ts';
import { type Batch, type Job, segmentOf } from './batch.ts';

export interface AddStoppedDeps {
  readonly lanes: Pick<Lanes, 'find' | 'progressOf' | 'ignore'>;
  /** Takes a job out of its lane (`finishing.ts`). */
  readonly takeOut: (job: Job) => void;
  /** The worker's unfinished executions, as they are recorded, in the order of acceptance. */
  readonly readUnfinished: () => Promise<readonly Execution[]>;
  /** What is stored after the batch. */
  readonly next: () => Batch;
  readonly now: () => Date;
}

/**
 * Adds to a batch the ends of all that is queued behind its {@link Batch.stops} and has not begun, whichever gateway
 * accepted it. Until the batch is stored, nothing of these queues begins (`finishing.ts`). May be called again with the
 * same batch.
 *
 * A command that the former holder may have sent is not ended, but to be interrupted, because only the agent knows
 * whether it runs.
 * @returns the queues as they were read: an execution that is accepted before the batch is stored is in none of them,
 * and must be read, too
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
    // Its end is stored: by an earlier attempt whose answer was lost, or by whoever ended its worker.
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
  // What never ran has lost nothing. The next one that runs tells of a loss.
  const ending = { ...endingWithoutAnswer('CANCELLED', false, null), stoppedBy: by };
  segmentOf(batch, job).end = { at: now(), ending };
}

function endsIn({ segments }: Batch, id: ExecutionId): boolean {
  return segments.some(({ job, end }) => end !== null && job.execution.id === id);
}

/** The job of an execution that the event feed has not reported yet. Its code is not sent, so it was not read. */
function unheardOf(execution: Execution): Job {
  return { execution, code: '', isTakenOver: false, nextSeq: 1, stateLost: false };
}
