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
  /** The batch that will be stored after the given one. */
  readonly next: () => Batch;
  readonly now: () => Date;
}

/**
 * Ends all executions that are queued behind the batch's {@link Batch.stops} and have not begun, whichever gateway
 * accepted them. Adds these ends to the batch. Until the batch is stored, nothing in these queues begins
 * (`finishing.ts`). May be called again with the same batch.
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
