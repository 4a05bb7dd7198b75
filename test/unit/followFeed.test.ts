/** A read model is exact at the end, however events, reads and their answers are interleaved. */
import { expect, it } from 'vitest';
import type { RecordedEvent } from '../../src/domain/events.ts';
import { followFeed } from '../../src/events/wakeUps/eventNews.ts';
import { fc } from '../support/seeded.ts';

/**
 * The steps of a schedule. `commit` changes the database. `hear` applies the oldest event that has not arrived yet.
 * `begin` starts a read. `snapshot` fixes what the read finds: all that is committed by then. `answer` ends a read.
 */
const STEPS = ['commit', 'hear', 'begin', 'snapshot', 'answer'] as const;
const schedules = fc.array(fc.constantFrom(...STEPS), { maxLength: 60 });

interface Reading {
  /** What the read finds. Null: there was no `snapshot` yet. */
  rows: readonly number[] | null;
  answer(): void;
  readonly done: Promise<void>;
}

it('a read model contains every event when the last read has ended and the last event has arrived', async () => {
  await fc.assert(
    fc.asyncProperty(schedules, async (schedule) => {
      /** An event is its position. The model is a set of positions, so applying an event again changes nothing. */
      let committed = 0;
      let heard = 0;
      let model = new Set<number>();
      const feed = followFeed(({ position }) => model.add(position));
      const readings: Reading[] = [];
      const begin = () => {
        let answer = () => {};
        const answered = new Promise<void>((resolve) => {
          answer = resolve;
        });
        const reading: Reading = {
          rows: null,
          answer: () => answer(),
          done: feed.read(
            async () => {
              await answered;
              return reading.rows ?? [];
            },
            (rows) => {
              model = new Set(rows);
            },
          ),
        };
        readings.push(reading);
      };
      const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);
      const take = {
        commit: () => {
          committed += 1;
        },
        hear: () => {
          if (heard === committed) return;
          heard += 1;
          feed.apply({ position: heard } as RecordedEvent);
        },
        begin,
        snapshot: () => {
          const reading = readings.find(({ rows }) => rows === null);
          if (reading) reading.rows = upTo(committed);
        },
        // A later read may be answered before an earlier one.
        answer: () => readings.findLast(({ rows }) => rows !== null)?.answer(),
      };
      begin();
      for (const step of schedule) {
        take[step]();
        await Promise.resolve();
      }
      for (const reading of readings) {
        reading.rows ??= upTo(committed);
        reading.answer();
        await reading.done;
      }
      while (heard < committed) take.hear();
      expect([...model].sort((a, b) => a - b)).toEqual(upTo(committed));
    }),
  );
});

it('a read that fails does not change a read model', async () => {
  const heard: number[] = [];
  const feed = followFeed(({ position }) => void heard.push(position));
  const failed = feed.read(
    async () => Promise.reject(new Error('away')),
    () => heard.push(0),
  );
  feed.apply({ position: 1 } as RecordedEvent);
  await expect(failed).rejects.toThrow('away');
  expect(heard).toEqual([1]);
});
