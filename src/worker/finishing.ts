import type { Ending } from '../domain/execution.ts';
import { isCommand } from '../domain/executionOptions.ts';
import type { CloseReason } from '../domain/session.ts';
import type { WorkerContexts } from './contexts/workerContexts.ts';
import { endingWithoutAnswer } from './endings.ts';
import type { LaneKey } from './lanes/laneKey.ts';
import type { Lanes } from './lanes/lanes.ts';
import type { Sending } from './sending.ts';
import { type Job, segmentOf } from './storing/batch.ts';
import type { Writer } from './storing/writer.ts';

export interface FinishingDeps {
  readonly lanes: Lanes;
  readonly contexts: Pick<WorkerContexts, 'isOpenFor'>;
  readonly writer: Writer;
  readonly sending: Sending;
  readonly now: () => Date;
}

/** Takes jobs out of their lanes, and adds their ends to the next commit. */
export interface Finishing {
  finish(job: Job, ending: Ending, at: Date): void;
  /**
   * Ends a job as CANCELLED. The next one of its lane waits until that is stored, so that no later holder can send the
   * cancelled code.
   */
  cancel(job: Job): void;
  /** Cancels the job if its context ended while it was being accepted. Its code was never sent. Returns whether. */
  cancelIfTooLate(job: Job): boolean;
  /** Ends all jobs of a lane as CANCELLED, and forgets the lane. The agent will not run them. */
  endLane(key: LaneKey): void;
  /** Ends all jobs of a session that has ended. */
  finishAll(reason: CloseReason): void;
}

export function createFinishing(deps: FinishingDeps): Finishing {
  const { lanes, contexts, writer, sending, now } = deps;

  function finish(job: Job, ending: Ending, at: Date): void {
    lanes.remove(job);
    sending.endHoldBack(job.execution.id);
    segmentOf(writer.batch, job).end = { at, ending };
    writer.added('end');
  }

  function finishUnanswered(job: Job, status: 'CANCELLED' | 'WORKER_LOST'): void {
    finish(job, endingWithoutAnswer(status, job.stateLost, lanes.progressOf(job)), now());
  }

  function cancel(job: Job): void {
    const lane = lanes.laneOf(job.execution.id);
    const release = lane?.holdUp();
    finishUnanswered(job, 'CANCELLED');
    void writer.drained().then(() => {
      release?.();
      if (lane) sending.beginNext(lane);
    });
  }

  return {
    finish,
    cancel,
    cancelIfTooLate: (job) => {
      const isTooLate = !contexts.isOpenFor(job.execution);
      if (isTooLate) cancel(job);
      return isTooLate;
    },
    endLane: (key) => {
      for (const job of lanes.at(key)?.all() ?? []) finishUnanswered(job, 'CANCELLED');
      lanes.forget(key);
    },
    finishAll: (reason) => {
      const isLost = reason === 'worker-lost';
      for (const job of lanes.jobs()) {
        if (isLost && !isCommand(job.execution)) job.stateLost = true;
        finishUnanswered(job, isLost ? 'WORKER_LOST' : 'CANCELLED');
      }
    },
  };
}
