import { expect, it } from 'vitest';
import type { DomainEvent, RecordedEvent } from '../../src/domain/events.ts';
import type { DayUse } from '../../src/events/queries/countQueries.ts';
import { newId } from '../../src/process/newId.ts';
import { createDailyUse } from '../../src/service/quotas/use.ts';
import { executionFinished, executionRequested } from '../../testkit/events.ts';

const CPUS = 2;
const TODAY = new Date('2026-01-31T12:00:00Z');
const TOMORROW = new Date('2026-02-01T00:00:00Z');
const ANN = { tenant: 'a', userUuid: 'ann' };
const ALL = { tenant: 'a', userUuid: null };

const recorded = (position: number, streamId: string, event: DomainEvent, recordedAt = TODAY) =>
  ({ position, streamId, event, recordedAt }) as RecordedEvent;

/** A request and an end, at two positions. The gateway's clock is a day ahead. */
function run(first: number, second: number, of = ANN, at = TODAY): [RecordedEvent, RecordedEvent] {
  const append = executionRequested(of);
  const requested = append.events[0] as DomainEvent;
  const ahead = new Date(at.getTime() + 86_400_000).toISOString();
  const ended = executionFinished({ cpuMs: 500, outputBytes: 10, at: ahead });
  return [recorded(first, append.id, requested), recorded(second, append.id, ended, at)];
}

/** The known use after the reading. The events of `meanwhile` arrived during the reading. */
async function loaded(read: Partial<DayUse> = {}, meanwhile: readonly RecordedEvent[] = []) {
  const dayUse = async () => ({ day: TODAY, position: 0, uses: [], unfinished: [], ...read });
  const known = createDailyUse({ dayUse }, CPUS);
  const loading = known.load();
  for (const event of meanwhile) known.apply(event);
  await loading;
  return known;
}

const used = (seconds: number, bytes: number) => ({
  CPU_SECONDS_PER_DAY: seconds,
  OUTPUT_BYTES_PER_DAY: bytes,
});

it('adds each end once, whether its event arrives before, during or after the reading', async () => {
  const [early, late, after, under] = [run(1, 2), run(3, 6), run(7, 8), run(0, 9)] as const;
  // The reading is as of position 4: `early` has ended, and `late` and `under` have not.
  const unfinished = [late, under].map(
    ([{ streamId }]) => ({ ...ANN, id: streamId, timeoutMs: 10_000 }) as never,
  );
  const uses = [{ ...ANN, cpuMs: 500, outputBytes: 10 }];
  const known = await loaded({ position: 4, uses, unfinished }, [...early, ...late]);
  expect(known.usedBy(ANN, TODAY)).toEqual(used(1, 20));
  for (const event of after) known.apply(event);
  known.apply(under[1]);
  expect(known.usedBy(ANN, TODAY)).toEqual(used(2, 40));
  expect(known.usedBy(ALL, TODAY)).toEqual(used(2, 40));
});

it('nothing counts as used before the reading', () => {
  const known = createDailyUse({ dayUse: () => new Promise(() => undefined) }, CPUS);
  for (const event of run(1, 2)) known.apply(event);
  expect(known.usedBy(ANN, TODAY)).toEqual(used(0, 0));
});

it('does not add an end that it has read when the event of that end arrives', async () => {
  const uses = [{ ...ANN, cpuMs: 500, outputBytes: 10 }];
  const known = await loaded({ position: 2, uses });
  for (const event of run(1, 2)) known.apply(event);
  expect(known.usedBy(ANN, TODAY)).toEqual(used(0.5, 10));
});

it('begins at zero each day, and counts an execution on the day of its end', async () => {
  const known = await loaded();
  for (const event of [...run(1, 2), ...run(3, 4, { tenant: 'a', userUuid: 'bob' })])
    known.apply(event);
  expect(known.usedBy(ALL, TODAY)).toEqual(used(1, 20));
  expect(known.usedBy(ANN, TOMORROW)).toEqual(used(0, 0));
  for (const event of run(5, 6, ANN, TOMORROW)) known.apply(event);
  // The event of an end on the day before arrives late.
  for (const event of run(7, 8)) known.apply(event);
  expect(known.usedBy(ALL, TOMORROW)).toEqual(used(0.5, 10));
  // By a clock that is behind, it is still today.
  expect(known.usedBy(ALL, TODAY)).toEqual(used(0.5, 10));
  expect(known.usedBy({ ...ALL, tenant: newId() }, TOMORROW)).toEqual(used(0, 0));
});

it('an execution whose CPU time is unknown counts as if it had used all CPUs, for its time limit at most', async () => {
  const known = await loaded();
  const end = (position: number, runMs: number | null) => {
    const [requested] = run(position, position);
    known.apply(requested);
    const ended = executionFinished({ cpuMs: null, runMs, outputBytes: 0 });
    known.apply(recorded(position, requested.streamId, ended));
  };
  end(1, 7_000);
  expect(known.usedBy(ANN, TODAY)).toEqual(used(14, 0));
  end(2, null);
  expect(known.usedBy(ANN, TODAY)).toEqual(used(14, 0));
  // Its worker was lost while no gateway ran. It had a limit of 10 s.
  end(3, 3_600_000);
  expect(known.usedBy(ANN, TODAY)).toEqual(used(34, 0));
});
