/** The unfinished executions of a worker, in order, and the progress of the first one. */

import type { RecordedEvent } from '../domain/events.ts';
import { type ExecutionEvent, evolveExecution } from '../domain/execution.ts';
import type { ExecutionId } from '../domain/ids.ts';
import type { Session } from '../domain/session.ts';
import type { UnfinishedExecution } from '../events/queries/executionQueries.ts';
import { type ExecutionProgress, startProgress } from '../kernel/execution/executionProgress.ts';
import type { Job } from './batch.ts';
import type { TakenOver } from './heldWorker.ts';
import { progressIn, type WorkerProgress, workerProgress } from './progress.ts';

export interface Jobs {
  /** The progress to store with the cursor. */
  readonly progress: WorkerProgress;
  readonly count: number;
  readonly first: Job | undefined;
  /** A copy of all jobs, in order. */
  all(): Job[];
  find(id: string): Job | undefined;
  /**
   * Returns false if the execution was already read at the start, and the event feed reports it only now. It may have
   * ended since, and must not be sent again: the agent ignores a msg_id that it knows, so no answer would come.
   */
  add(next: UnfinishedExecution): boolean;
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
  /** Applies an event that somebody else recorded, so that the next commit is decided on the current version. */
  fold(recorded: RecordedEvent): void;
}

export function createJobs(start: Pick<TakenOver, 'cursor' | 'session' | 'unfinished'>): Jobs {
  let jobs = start.unfinished.map((each) => takenOver(each, start.session));
  let progress = workerProgress(start.cursor);
  /**
   * The executions read at the start. The event feed may report these, too, each at most once
   * (`events/wakeUps/createWakeUps.ts`). This set tells them from executions that were recorded later.
   */
  const read = new Set<ExecutionId>(jobs.map(({ execution }) => execution.id));

  const find = (id: string) => jobs.find(({ execution }) => execution.id === id);
  const progressOf = ({ execution }: Job) => progressIn({ progress }, execution.id);

  const hasBegun = (job: Job) => (progressOf(job)?.startedAt ?? null) !== null;
  const reportLoss = () => {
    const [first] = jobs;
    if (progress.hasUntoldLoss && first && hasBegun(first)) first.stateLost = true;
  };

  // The first execution may have begun under the former holder. Then only the cursor says that it must report a loss.
  reportLoss();

  return {
    get progress() {
      return progress;
    },
    get count() {
      return jobs.length;
    },
    get first() {
      return jobs[0];
    },
    all: () => [...jobs],
    find,
    add: ({ execution, code, lastSeq }) => {
      if (read.has(execution.id)) return false;
      jobs.push({ execution, code, isTakenOver: false, nextSeq: lastSeq + 1, stateLost: false });
      return true;
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
      const { hasUntoldLoss, isReplacedUnderWay = false } = progress;
      if (progressOf(job) !== null)
        progress = {
          execution: null,
          hasUntoldLoss: hasBegun(job) ? isReplacedUnderWay : hasUntoldLoss,
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
    fold: ({ streamId, version, event }) => {
      const job = find(streamId);
      if (job?.execution.version === version - 1)
        job.execution = evolveExecution(job.execution, event as ExecutionEvent);
    },
  };
}

/** The job of an execution that was read at the start. The kernel may have been replaced since it was accepted. */
function takenOver(
  { execution, code, lastSeq }: UnfinishedExecution,
  session: Session | null,
): Job {
  const restartedAt = session?.kernelRestartedAt?.getTime() ?? 0;
  const stateLost = restartedAt > execution.requestedAt.getTime();
  return { execution, code, isTakenOver: true, nextSeq: lastSeq + 1, stateLost };
}
