/**
 * When a kernel is replaced while nothing runs, the first execution in the new kernel reports the loss, whichever
 * gateway ends that execution.
 */
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

/** The jobs of a gateway that takes a worker over at the given progress. */
function jobsFrom(progress: unknown, ...executions: UnfinishedExecution[]): Jobs {
  const cursor = { workerId: newId<WorkerId>(), epoch: 1, bootId: 'b', seq: 1, progress };
  return createJobs({
    cursor: cursor as Cursor,
    session: openSession(),
    unfinished: executions,
  });
}

/** Sends the first execution, which begins in the kernel. */
function beginFirst(jobs: Jobs): void {
  const { first } = jobs;
  if (!first) return;
  jobs.begin(first);
  jobs.advance({ ...startProgress(first.execution.id), startedAt: 1 });
}

/** The kernel was replaced while nothing ran; then the first of these executions began. */
function begunAfterLoss(...executions: UnfinishedExecution[]): Jobs {
  const jobs = jobsFrom(null);
  expect(jobs.kernelReplaced()).toBeNull();
  for (const each of executions) jobs.add(each);
  beginFirst(jobs);
  return jobs;
}

describe('a loss of state that no execution has reported yet', () => {
  it('is reported by the next execution, and by no other', () => {
    const [next, later] = [unfinished(), unfinished()];
    const jobs = begunAfterLoss(next, later);
    expect(jobs.all().map(({ stateLost }) => stateLost)).toEqual([true, false]);
    const [first] = jobs.all();
    if (first) jobs.remove(first);
    beginFirst(jobs);
    expect(jobs.first?.stateLost).toBe(false);
  });

  it('is reported even if another gateway takes the execution over while it runs', () => {
    const [running, queued] = [unfinished(), unfinished()];
    const { progress } = begunAfterLoss(running, queued);
    const successor = jobsFrom(progress, running, queued);
    expect(successor.all().map(({ stateLost }) => stateLost)).toEqual([true, false]);
  });
});

it('jobs do not accept an initial execution again after it has ended', () => {
  const first = unfinished();
  const jobs = jobsFrom(null, first);
  for (const job of jobs.all()) jobs.remove(job);
  expect(jobs.add(first)).toBe(false);
  expect(jobs.count).toBe(0);
});
