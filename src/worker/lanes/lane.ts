/**
 * The unfinished executions of one lane, in order, and the progress of the first one.
 *
 * ```
 *  queued --begin--> running --remove--> gone
 *    |                                    ^
 *    +---------------remove---------------+
 * ```
 */
import type { ExecutionId } from '../../domain/ids.ts';
import { type ExecutionProgress, startProgress } from '../../kernel/execution.ts';
import type { Job } from '../storing/batch.ts';
import { isEmpty, type LaneProgress, underWay } from './progress.ts';

export interface Lane {
  /** The part of the lane's state that is stored with the cursor. */
  readonly progress: LaneProgress;
  readonly count: number;
  /** A copy of all jobs, in order. */
  all(): Job[];
  /** The job that has begun, if any. It is always the first one. */
  readonly running: Job | undefined;
  /** The job that may begin now: the first one, if it has not begun, and nothing holds the lane up. */
  readonly next: Job | undefined;
  add(job: Job): void;
  /** The job's progress. Null if it has not begun. */
  progressOf(job: Job): ExecutionProgress | null;
  /** Marks the job as begun. */
  begin(job: Job): void;
  advance(progress: ExecutionProgress): void;
  remove(job: Job): void;
  /**
   * Records that the kernel was replaced. Every unfinished execution reports the loss. If the first execution that
   * begins in the new kernel was accepted after the replacement, it reports the loss as well. Returns the execution
   * that ran in the old kernel, or null.
   */
  kernelReplaced(): ExecutionId | null;
  /** No job may begin until the returned function is called. */
  holdUp(): () => void;
  /**
   * Whether a new lane could take its place: it has no jobs, has nothing to continue or to report, and is not held up.
   */
  readonly isIdle: boolean;
}

export function createLane(stored: LaneProgress): Lane {
  let jobs: Job[] = [];
  let progress = stored;
  let holds = 0;

  const progressOf = ({ execution }: Job) => underWay(progress, execution.id);
  const hasBegun = (job: Job) => (progressOf(job)?.startedAt ?? null) !== null;
  const reportLoss = () => {
    const [first] = jobs;
    if (progress.hasUntoldLoss && first && hasBegun(first)) first.stateLost = true;
  };

  return {
    get progress() {
      return progress;
    },
    get count() {
      return jobs.length;
    },
    all: () => [...jobs],
    get running() {
      const [first] = jobs;
      return first && progressOf(first) !== null ? first : undefined;
    },
    get next() {
      const [first] = jobs;
      return first && holds === 0 && progressOf(first) === null ? first : undefined;
    },
    add: (job) => {
      jobs.push(job);
      // The job may have begun under the former holder. Then only the cursor says that the job must report a loss.
      reportLoss();
    },
    progressOf,
    begin: (job) => {
      progress = { ...progress, execution: startProgress(job.execution.id) };
    },
    advance: (execution) => {
      progress = { ...progress, execution };
      reportLoss();
    },
    remove: (job) => {
      const { hasUntoldLoss, isReplacedUnderWay } = progress;
      if (progressOf(job) !== null)
        progress = {
          execution: null,
          hasUntoldLoss: hasBegun(job) ? isReplacedUnderWay : hasUntoldLoss,
          isReplacedUnderWay: false,
        };
      jobs = jobs.filter((each) => each !== job);
    },
    kernelReplaced: () => {
      for (const job of jobs) job.stateLost = true;
      const [first] = jobs;
      const isReplacedUnderWay = first !== undefined && hasBegun(first);
      progress = { ...progress, hasUntoldLoss: true, isReplacedUnderWay };
      return isReplacedUnderWay ? first.execution.id : null;
    },
    holdUp: () => {
      let isHeld = true;
      holds += 1;
      return () => {
        if (isHeld) holds -= 1;
        isHeld = false;
      };
    },
    get isIdle() {
      return jobs.length === 0 && holds === 0 && isEmpty(progress);
    },
  };
}
