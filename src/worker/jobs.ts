/** The executions that a worker has accepted and that have not ended, in order, and how far the first of them is. */

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
  /** For the cursor. */
  readonly progress: WorkerProgress;
  readonly count: number;
  readonly first: Job | undefined;
  /** In order; a copy. */
  all(): Job[];
  find(id: string): Job | undefined;
  /** False: it was read at the start, and is told of late. By now it may be over, and must not be sent again: nobody would answer. */
  add(next: UnfinishedExecution): boolean;
  /** Null: it is not under way. */
  progressOf(job: Job): ExecutionProgress | null;
  /** It is under way from now on. */
  begin(job: Job): void;
  advance(progress: ExecutionProgress): void;
  remove(job: Job): void;
  /** The one that ran in it. All that wait are told, and so is the first that begins in the fresh kernel. */
  kernelReplaced(): ExecutionId | null;
  /** Folds in what others recorded, so that the next commit is decided on the version that there is now. */
  fold(recorded: RecordedEvent): void;
}

export function createJobs(start: Pick<TakenOver, 'cursor' | 'session' | 'unfinished'>): Jobs {
  let jobs = start.unfinished.map((each) => takenOver(each, start.session));
  let progress = workerProgress(start.cursor);
  /** What is told was recorded later than these were read, or is one of them; and it is told once (`events/wakeUps/createWakeUps.ts`). */
  const read = new Set<ExecutionId>(jobs.map(({ execution }) => execution.id));

  const find = (id: string) => jobs.find(({ execution }) => execution.id === id);
  const progressOf = ({ execution }: Job) => progressIn({ progress }, execution.id);

  const hasBegun = (job: Job) => (progressOf(job)?.startedAt ?? null) !== null;
  const tellOfLoss = () => {
    const [first] = jobs;
    if (progress.hasUntoldLoss && first && hasBegun(first)) first.stateLost = true;
  };

  // The answer of what a predecessor began tells of the loss before it; only the cursor remembers that.
  tellOfLoss();

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
      tellOfLoss();
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

/** A predecessor may have sent it, and have seen the kernel replaced since it was accepted. */
function takenOver(
  { execution, code, lastSeq }: UnfinishedExecution,
  session: Session | null,
): Job {
  const restartedAt = session?.kernelRestartedAt?.getTime() ?? 0;
  const stateLost = restartedAt > execution.requestedAt.getTime();
  return { execution, code, isTakenOver: true, nextSeq: lastSeq + 1, stateLost };
}
