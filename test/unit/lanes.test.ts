/** The lanes of a worker: what each lane runs next, which executions report a loss, and what a successor finds. */
import { describe, expect, it } from 'vitest';
import type { ExecutionId } from '../../src/domain/ids.ts';
import type { UnfinishedExecution } from '../../src/events/queries/executionQueries.ts';
import { startProgress } from '../../src/kernel/execution.ts';
import {
  createLanes,
  DEFAULT_LANE,
  type Lane,
  type Lanes,
  progressIn,
} from '../../src/worker/lanes.ts';
import { queuedExecution } from '../support/states.ts';

/** In these tests, the idempotency key names the lane. */
const unfinished = (lane = DEFAULT_LANE): UnfinishedExecution => ({
  execution: queuedExecution({ idempotencyKey: lane }),
  code: 'x',
  lastSeq: 0,
});

/** The lanes of a gateway that takes a worker over at the given progress. */
function lanesFrom(progress: unknown, ...executions: UnfinishedExecution[]): Lanes {
  return createLanes({
    cursor: { progress: JSON.parse(JSON.stringify(progress)) as unknown },
    unfinished: executions,
    laneOf: ({ idempotencyKey }) => idempotencyKey ?? DEFAULT_LANE,
    kernelRestartedAt: () => null,
  });
}

/** Sends the lane's next execution, which begins in the kernel. */
function beginNext(lane: Lane | undefined): void {
  const next = lane?.next;
  if (!lane || !next) throw new Error('Nothing is due.');
  lane.begin(next);
  lane.advance({ ...startProgress(next.execution.id), startedAt: 1 });
}

/** The kernel was replaced while nothing ran; then the first of these executions began. */
function begunAfterLoss(...executions: UnfinishedExecution[]): Lanes {
  const lanes = lanesFrom(null);
  expect(lanes.defaultLane.kernelReplaced()).toBeNull();
  for (const each of executions) lanes.add(each);
  beginNext(lanes.defaultLane);
  return lanes;
}

const losses = (lanes: Lanes) => lanes.jobs().map(({ stateLost }) => stateLost);

describe('a loss of state that no execution has reported yet', () => {
  it('is reported by the next execution, and by no other', () => {
    const [next, later] = [unfinished(), unfinished()];
    const lanes = begunAfterLoss(next, later);
    expect(losses(lanes)).toEqual([true, false]);
    const [first] = lanes.jobs();
    if (first) lanes.remove(first);
    beginNext(lanes.defaultLane);
    expect(losses(lanes)).toEqual([false]);
  });

  it('is reported even if another gateway takes the execution over while it runs', () => {
    const [running, queued] = [unfinished(), unfinished()];
    const { progress } = begunAfterLoss(running, queued);
    expect(losses(lanesFrom(progress, running, queued))).toEqual([true, false]);
  });

  it('is reported in its own lane only', () => {
    const [own, other] = [unfinished(), unfinished('a')];
    const lanes = lanesFrom(null, other);
    beginNext(lanes.laneOf(other.execution.id));
    lanes.defaultLane.kernelReplaced();
    lanes.add(own);
    beginNext(lanes.defaultLane);
    expect(losses(lanes)).toEqual([true, false]);
    expect(losses(lanesFrom(lanes.progress, other, own))).toEqual([true, false]);
  });
});

describe('an execution that was read at the start', () => {
  it('is not accepted again after it has ended, although its lane was forgotten', () => {
    const first = unfinished('a');
    const lanes = lanesFrom(null, first);
    for (const job of lanes.jobs()) lanes.remove(job);
    expect(lanes.add(unfinished('b'))).not.toBeNull();
    expect([...lanes.all()]).toHaveLength(2);
    expect(lanes.add(first)).toBeNull();
    expect(lanes.countIn('a')).toBe(0);
  });

  it('is ignored the first time that the event feed reports it, and only then', () => {
    const first = unfinished('a');
    const lanes = lanesFrom(null, first);
    for (const job of lanes.jobs()) lanes.remove(job);
    expect(lanes.add(first)).toBeNull();
    expect(lanes.add(first)).not.toBeNull();
  });
});

describe('a lane', () => {
  it('begins nothing while it is held up, and is not dropped meanwhile', () => {
    const [cancelled, next, elsewhere] = [unfinished('a'), unfinished('a'), unfinished('b')];
    const lanes = lanesFrom(null, cancelled);
    const [job] = lanes.jobs();
    const lane = lanes.laneOf(cancelled.execution.id);
    if (!job || !lane) throw new Error('There is no job.');
    const [release, releaseToo] = [lane.holdUp(), lane.holdUp()];
    lanes.remove(job);
    const other = lanes.add(elsewhere);
    expect(lanes.add(next)).toBe(lane);
    expect(other?.next?.execution.id).toBe(elsewhere.execution.id);
    release();
    release();
    expect(lane.next).toBeUndefined();
    releaseToo();
    expect(lane.next?.execution.id).toBe(next.execution.id);
  });

  it('runs beside others, each with its own progress', () => {
    const executions = [unfinished('a'), unfinished(), unfinished('b'), unfinished('a')];
    const lanes = lanesFrom(null, ...executions);
    for (const lane of lanes.all()) beginNext(lane);
    const ids = executions.map(({ execution }) => execution.id);
    const [a, main, b] = ids;
    expect(new Set(lanes.running().map(({ execution }) => execution.id))).toEqual(
      new Set([a, main, b]),
    );
    const found = ids.map((id) => progressIn({ progress: lanes.progress }, id)?.executionId);
    expect(found).toEqual([a, main, b, undefined]);
  });
});

/** This is the format that every holder of a worker writes and reads. */
describe('the stored progress of a worker with the default lane alone', () => {
  const id = '0197a000-0000-7000-8000-000000000002' as ExecutionId;
  const begun = `{"execution":{"executionId":"${id}","startedAt":null,"isDone":false,"lastErrorNameJson":null,"producedBytes":0,"keptBytes":0,"keptOutputs":0,"isFull":false,"droppedBytes":0,"isTruncated":false},"hasUntoldLoss":`;
  const job = { execution: queuedExecution({ executionId: id }), code: 'x', lastSeq: 0 };

  it('has the execution that was begun, and whether a loss is still to be reported', () => {
    const lanes = lanesFrom(null, job);
    const stored = () => JSON.stringify(lanes.progress);
    expect(stored()).toBe('{"execution":null,"hasUntoldLoss":false,"isReplacedUnderWay":false}');
    const { defaultLane } = lanes;
    if (defaultLane.next) defaultLane.begin(defaultLane.next);
    expect(stored()).toBe(`${begun}false,"isReplacedUnderWay":false}`);
    defaultLane.kernelReplaced();
    expect(stored()).toBe(`${begun}true,"isReplacedUnderWay":false}`);
    for (const each of lanes.jobs()) lanes.remove(each);
    expect(stored()).toBe('{"execution":null,"hasUntoldLoss":true,"isReplacedUnderWay":false}');
  });

  it('has the same form after other lanes have ended', () => {
    const lanes = lanesFrom(null, unfinished('a'));
    beginNext([...lanes.all()][1]);
    expect(JSON.stringify(lanes.progress)).toContain('"lanes":{"a":');
    for (const each of lanes.jobs()) lanes.remove(each);
    expect(JSON.stringify(lanes.progress)).toBe(
      '{"execution":null,"hasUntoldLoss":false,"isReplacedUnderWay":false}',
    );
  });

  it('is read as it was written', () => {
    const stored = `${begun}true,"isReplacedUnderWay":false}`;
    const lanes = lanesFrom(JSON.parse(stored), job);
    expect(lanes.running().map(({ execution }) => execution.id)).toEqual([id]);
    expect(JSON.stringify(lanes.progress)).toBe(stored);
  });
});
