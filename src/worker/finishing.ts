import type { Ending } from '../domain/execution.ts';
import { isCommand } from '../domain/executionOptions.ts';
import type { CloseReason } from '../domain/session.ts';
import { endingWithoutAnswer, type Job, segmentOf } from './batch.ts';
import type { InputDelivery } from './inputDelivery.ts';
import type { LaneKey, Lanes } from './lanes.ts';
import type { Sending } from './sending.ts';
import type { WorkerContexts } from './workerContexts.ts';
import type { Writer } from './writer.ts';

export interface FinishingDeps {
  readonly lanes: Lanes;
  readonly contexts: Pick<WorkerContexts, 'isOpenFor'>;
  readonly writer: Writer;
  readonly sending: Sending;
  readonly input: Pick<InputDelivery, 'ended'>;
  readonly now: () => Date;
}

/**
 * Takes jobs out of their lanes, and adds their ends to the next commit. If a job has the option `stopOnError` and its
 * status is not OK, that commit also ends the executions that are queued behind it (`writer.ts`).
 */
export interface Finishing {
  finish(job: Job, ending: Ending, at: Date): void;
  /**
   * Ends a job as CANCELLED. The next job in its lane waits until the end is stored, so that no later holder can send
   * the cancelled code.
   */
  cancel(job: Job): void;
  /** Takes a job out of its lane, and discards all that is kept for it. The caller must add its end to the batch. */
  takeOut(job: Job): void;
  /**
   * Cancels the job if its context ended while the job was being accepted. Its code was never sent. Returns whether the
   * job was cancelled.
   */
  cancelIfTooLate(job: Job): boolean;
  /** Ends all jobs of a lane as CANCELLED, and forgets the lane. The agent will not run them. */
  endLane(key: LaneKey): void;
  /** Ends all jobs of a session that has ended. */
  finishAll(reason: CloseReason): void;
}

export function createFinishing(deps: FinishingDeps): Finishing {
  const { lanes, contexts, writer, sending, input, now } = deps;

  function takeOut(job: Job): void {
    lanes.remove(job);
    sending.endHoldBack(job.execution.id);
    input.ended(job.execution.id);
  }

  function end(job: Job, ending: Ending, at: Date): void {
    takeOut(job);
    segmentOf(writer.batch, job).end = { at, ending };
    writer.added('end');
  }

  /** Executions that wait for this job do not begin before its end is stored. */
  function endBeforeOthers(job: Job, ending: Ending, at: Date): void {
    const lane = lanes.laneOf(job.execution.id);
    const release = lanes.holdUp(job);
    if (stopsOthers(job, ending)) writer.batch.stops.push(job);
    end(job, ending, at);
    void writer.drained().then(() => {
      release();
      if (lane) sending.beginNext(lane);
    });
  }

  function finish(job: Job, ending: Ending, at: Date): void {
    (stopsOthers(job, ending) ? endBeforeOthers : end)(job, ending, at);
  }

  const unanswered = (job: Job, status: 'CANCELLED' | 'WORKER_LOST') =>
    endingWithoutAnswer(status, job.stateLost, lanes.progressOf(job));

  function cancel(job: Job): void {
    endBeforeOthers(job, unanswered(job, 'CANCELLED'), now());
  }

  return {
    finish,
    cancel,
    takeOut,
    cancelIfTooLate: (job) => {
      const isTooLate = !contexts.isOpenFor(job.execution);
      if (isTooLate) cancel(job);
      return isTooLate;
    },
    endLane: (key) => {
      for (const job of lanes.at(key)?.all() ?? [])
        finish(job, unanswered(job, 'CANCELLED'), now());
      lanes.forget(key);
    },
    finishAll: (reason) => {
      const isLost = reason === 'worker-lost';
      for (const job of lanes.jobs()) {
        if (isLost && !isCommand(job.execution)) job.stateLost = true;
        end(job, unanswered(job, isLost ? 'WORKER_LOST' : 'CANCELLED'), now());
      }
    },
  };
}

function stopsOthers({ execution }: Job, { status }: Ending): boolean {
  return execution.options?.stopOnError === true && status !== 'OK';
}
