/** The executions that a worker has accepted and that have not ended, in order, and how far the first of them is. */

import type { RecordedEvent } from '../domain/events.ts';
import { type ExecutionEvent, evolveExecution } from '../domain/execution.ts';
import type { ExecutionId } from '../domain/ids.ts';
import type { KernelRestartReason, Session } from '../domain/session.ts';
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
  /** The one that was under way. */
  kernelReplaced(reason: KernelRestartReason): ExecutionId | null;
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

  // The answer of what a predecessor began tells of the loss before it; only the cursor remembers that.
  for (const job of jobs)
    if (progress.hasUntoldLoss && progressOf(job) !== null) job.stateLost = true;

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
      if (progress.hasUntoldLoss) job.stateLost = true;
      progress = { ...progress, execution: startProgress(job.execution.id) };
    },
    advance: (execution) => {
      progress = { ...progress, execution };
    },
    remove: (job) => {
      if (progressOf(job) !== null) progress = { execution: null, hasUntoldLoss: false };
      jobs = jobs.filter((each) => each !== job);
    },
    kernelReplaced: (reason) => {
      for (const job of jobs) job.stateLost = true;
      const [first] = jobs;
      if (!first && reason !== 'user') progress = { ...progress, hasUntoldLoss: true };
      return first && progressOf(first) !== null ? first.execution.id : null;
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
