/** A kernel that was replaced while nothing ran is told of by the first that begins then, whichever gateway ends that. */
import { describe, expect, it } from 'vitest';
import type { WorkerId } from '../../src/domain/ids.ts';
import type { UnfinishedExecution } from '../../src/events/queries/executionQueries.ts';
import type { Cursor } from '../../src/events/store/eventStore.ts';
import { startProgress } from '../../src/kernel/execution/executionProgress.ts';
import { newId } from '../../src/process/newId.ts';
import { createJobs, type Jobs } from '../../src/worker/jobs.ts';
import { openSession, queuedExecution } from '../support/states.ts';

const unfinished = (): UnfinishedExecution => ({
  execution: queuedExecution(),
  code: 'x',
  lastSeq: 0,
});

/** A host of one worker that begins where the progress of another has come to. */
function jobsFrom(progress: unknown, ...executions: UnfinishedExecution[]): Jobs {
  const cursor = { workerId: newId<WorkerId>(), epoch: 1, bootId: 'b', seq: 1, progress };
  return createJobs({
    cursor: cursor as Cursor,
    session: openSession(),
    unfinished: executions,
  });
}

/** The first of them is sent, and begins in the kernel. */
function beginFirst(jobs: Jobs): void {
  const { first } = jobs;
  if (!first) return;
  jobs.begin(first);
  jobs.advance({ ...startProgress(first.execution.id), startedAt: 1 });
}

/** After a kernel was replaced under nobody, the first of these has begun. */
function begunAfterLoss(...executions: UnfinishedExecution[]): Jobs {
  const jobs = jobsFrom(null);
  expect(jobs.kernelReplaced()).toBeNull();
  for (const each of executions) jobs.add(each);
  beginFirst(jobs);
  return jobs;
}

describe('a loss that nobody was told of', () => {
  it('is told by the next execution, and by no other', () => {
    const [next, later] = [unfinished(), unfinished()];
    const jobs = begunAfterLoss(next, later);
    expect(jobs.all().map(({ stateLost }) => stateLost)).toEqual([true, false]);
    const [first] = jobs.all();
    if (first) jobs.remove(first);
    beginFirst(jobs);
    expect(jobs.first?.stateLost).toBe(false);
  });

  it('is told though another gateway takes the execution over while it runs', () => {
    const [running, queued] = [unfinished(), unfinished()];
    const { progress } = begunAfterLoss(running, queued);
    const successor = jobsFrom(progress, running, queued);
    expect(successor.all().map(({ stateLost }) => stateLost)).toEqual([true, false]);
  });
});

it('takes no execution again that it began with and that has ended since', () => {
  const first = unfinished();
  const jobs = jobsFrom(null, first);
  for (const job of jobs.all()) jobs.remove(job);
  expect(jobs.add(first)).toBe(false);
  expect(jobs.count).toBe(0);
});
