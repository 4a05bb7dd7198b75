import { expect, it } from 'vitest';
import type { DomainEvent, RecordedEvent } from '../../src/domain/events.ts';
import type { ExecutionId } from '../../src/domain/ids.ts';
import type { StoredOfUser, StoredUse } from '../../src/events/queries/countQueries.ts';
import { newId } from '../../src/process/newId.ts';
import { createStoredBytes } from '../../src/service/quotas/use.ts';
import { executionFinished, executionRequested } from '../../testkit/events.ts';
import { until } from '../../testkit/until.ts';

const ANN = { tenant: 'a', userUuid: 'ann' };
const ALL = { tenant: 'a', userUuid: null };
const CODE_BYTES = 5;
const OUTPUT_BYTES = 100;
const STORED = CODE_BYTES + OUTPUT_BYTES;

const recorded = (position: number, streamId: string, event: DomainEvent) =>
  ({ position, streamId, event }) as RecordedEvent;

/** A request and an end, at two positions. */
function run(first: number, second: number, of = ANN): [RecordedEvent, RecordedEvent] {
  const append = executionRequested({ ...of, code: 'x'.repeat(CODE_BYTES) });
  const ended = executionFinished({ storedOutputBytes: OUTPUT_BYTES });
  return [
    recorded(first, append.id, append.events[0] as DomainEvent),
    recorded(second, append.id, ended),
  ];
}

function pruned(position: number, executionIds: readonly string[]): RecordedEvent {
  const data = { executionIds: executionIds as ExecutionId[] } as never;
  return recorded(position, newId(), { type: 'HistoryPruned', data });
}

interface Answer<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
}

/** A count of stored bytes. The test answers its reads. */
function createAsked() {
  const readings: Answer<StoredUse>[] = [];
  const asked: Answer<StoredOfUser[]>[] = [];
  const stored = createStoredBytes({
    storedUse: () => {
      const reading = answer<StoredUse>();
      readings.push(reading);
      return reading.promise;
    },
    storedOf: () => {
      const question = answer<StoredOfUser[]>();
      asked.push(question);
      return question.promise;
    },
  });
  return { stored, readings, asked };
}

/** `Promise.withResolvers`, which Node 20 lacks. */
function answer<T>(): Answer<T> {
  const made: Partial<Answer<T>> = {};
  const promise = new Promise<T>((resolve, reject) => Object.assign(made, { resolve, reject }));
  return Object.assign(made, { promise }) as Answer<T>;
}

const nothing = (position: number): StoredUse => ({ position, uses: [], unfinished: [] });

async function noneStored() {
  const made = createAsked();
  made.stored.prepare();
  made.readings[0]?.resolve(nothing(0));
  await made.stored.usedBy(ANN);
  return made;
}

it('counts each execution once, whether its events arrive before, during or after the reading', async () => {
  const { stored, readings } = createAsked();
  const [early, late, after] = [run(1, 2), run(3, 6), run(7, 8)] as const;
  stored.apply(early[0]);
  const used = stored.usedBy(ANN);
  for (const event of [early[1], ...late]) stored.apply(event);
  const uses = [
    { ...ANN, bytes: STORED },
    { ...ANN, bytes: CODE_BYTES },
  ];
  // The reading is as of position 4: `early` has ended, and `late` has not.
  const unfinished = [{ ...ANN, id: late[0].streamId as ExecutionId, maxOutputBytes: 1_000 }];
  readings[0]?.resolve({ position: 4, uses, unfinished });
  expect(await used).toBe(2 * STORED);
  stored.apply(after[0]);
  expect(await stored.usedBy(ANN)).toBe(2 * STORED + CODE_BYTES);
  stored.apply(after[1]);
  expect([await stored.usedBy(ANN), await stored.usedBy(ALL)]).toEqual([3 * STORED, 3 * STORED]);
  expect(await stored.usedBy({ tenant: 'b', userUuid: 'ann' })).toBe(0);
  expect(readings).toHaveLength(1);
});

it('reads nothing until somebody asks, and then once for all who ask', async () => {
  const { stored, readings } = createAsked();
  for (const event of run(1, 2)) stored.apply(event);
  expect(readings).toHaveLength(0);
  const asked = [stored.usedBy(ANN), stored.usedBy(ALL)];
  stored.prepare();
  readings[0]?.resolve({ ...nothing(2), uses: [{ ...ANN, bytes: STORED }] });
  expect(await Promise.all(asked)).toEqual([STORED, STORED]);
  expect(readings).toHaveLength(1);
});

it('counts input when it is recorded', async () => {
  const { stored } = await noneStored();
  const [requested, ended] = run(1, 3);
  const data = { at: new Date().toISOString(), offset: 0, bytes: 20, close: false };
  const sent = recorded(2, requested.streamId, { type: 'InputSent', data });
  for (const event of [requested, sent]) stored.apply(event);
  expect(await stored.usedBy(ANN)).toBe(CODE_BYTES + 20);
  stored.apply(ended);
  expect(await stored.usedBy(ALL)).toBe(STORED + 20);
});

it('bytes that are pruned become free for the user and the tenant', async () => {
  const { stored, asked } = await noneStored();
  const bob = { tenant: 'a', userUuid: 'bob' };
  const runs = [run(1, 2), run(3, 4), run(5, 6, bob)];
  for (const event of runs.flat()) stored.apply(event);
  stored.apply(pruned(7, [runs[0]?.[0].streamId ?? '', runs[2]?.[0].streamId ?? '']));
  expect(await stored.usedBy(ALL)).toBe(3 * STORED);
  asked[0]?.resolve([
    { ...ANN, bytes: STORED },
    { ...bob, bytes: STORED },
  ]);
  await until('what was pruned', async () => (await stored.usedBy(ALL)) === STORED);
  expect([await stored.usedBy(ANN), await stored.usedBy(bob)]).toEqual([STORED, 0]);
});

it('bytes that were pruned before the reading are not subtracted again', async () => {
  const { stored, readings, asked } = createAsked();
  const used = stored.usedBy(ANN);
  stored.apply(pruned(3, [newId()]));
  readings[0]?.resolve({ ...nothing(3), uses: [{ ...ANN, bytes: STORED }] });
  expect(await used).toBe(STORED);
  expect(asked).toHaveLength(0);
});

it('reads all again if it could not read what became free, and reports too many bytes until then', async () => {
  const { stored, readings, asked } = await noneStored();
  for (const event of run(1, 2)) stored.apply(event);
  stored.apply(pruned(3, [newId()]));
  asked[0]?.reject(new Error('away'));
  await until('it to be read again', async () => readings.length === 2);
  expect(await stored.usedBy(ANN)).toBe(STORED);
  readings[1]?.reject(new Error('away'));
  await until('whoever asks to begin another reading', async () => {
    expect(await stored.usedBy(ANN)).toBe(STORED);
    return readings.length === 3;
  });
  // The bytes that this pruning frees cannot be read either, and the reading under way began before the pruning. So
  // another reading must follow.
  stored.apply(pruned(5, [newId()]));
  asked[1]?.reject(new Error('away'));
  readings[2]?.resolve({ ...nothing(4), uses: [{ ...ANN, bytes: 7 }] });
  await until('the next reading', async () => readings.length === 4);
  readings[3]?.resolve({ ...nothing(5), uses: [{ ...ANN, bytes: 3 }] });
  await until('what it says', async () => (await stored.usedBy(ANN)) === 3);
  expect(readings).toHaveLength(4);
});

it('reads all again when somebody is forgotten, because the event does not say whose bytes it removed', async () => {
  const { stored, readings } = await noneStored();
  for (const event of run(1, 2)) stored.apply(event);
  const data = { executionIds: [newId<ExecutionId>()] } as never;
  stored.apply(recorded(3, newId(), { type: 'DataForgotten', data }));
  expect(await stored.usedBy(ANN)).toBe(STORED);
  expect(readings).toHaveLength(2);
  readings[1]?.resolve(nothing(3));
  await until('it to be read', async () => (await stored.usedBy(ALL)) === 0);
  expect(await stored.usedBy(ANN)).toBe(0);
  const none = { executionIds: undefined } as never;
  stored.apply(recorded(4, newId(), { type: 'DataForgotten', data: none }));
  expect(readings).toHaveLength(2);
});

it('fails for the first caller if the reading fails, and reads again for the next', async () => {
  const { stored, readings } = createAsked();
  const failed = stored.usedBy(ANN);
  readings[0]?.reject(new Error('away'));
  await expect(failed).rejects.toThrow('away');
  const again = stored.usedBy(ANN);
  readings[1]?.resolve({ ...nothing(3), uses: [{ ...ANN, bytes: 7 }] });
  expect(await again).toBe(7);
});
