import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { SessionId } from '../../src/domain/ids.ts';
import type { ReaderOffset } from '../../src/events/queries/sessionQueries.ts';
import { createContextReaders } from '../../src/service/output/contextReaders.ts';

/** The statements that were sent, in order. `end` answers one. */
let statements: { readonly places: readonly ReaderOffset[]; end(error?: Error): void }[];
const warned: string[] = [];
const newReaders = () =>
  createContextReaders({
    queries: {
      recordReaders: (places) =>
        new Promise((resolve, reject) => {
          statements.push({ places, end: (error) => (error ? reject(error) : resolve()) });
        }),
      readerOffset: async () => null,
      trimReaders: async () => undefined,
    },
    logger: { warn: (_fields, message) => warned.push(message) },
  });
const readerOf = (reader: string) => ({ sessionId: 's' as SessionId, contextId: 'c', reader });
const place = (position: number) => ({ position, seq: 0 });
const turns = () => vi.advanceTimersByTimeAsync(0);

beforeEach(() => {
  vi.useFakeTimers();
  statements = [];
  warned.length = 0;
});
afterEach(() => {
  vi.useRealTimers();
});

it('callers of recorded() wait until all offsets so far are recorded', async () => {
  const readers = newReaders();
  const settled: string[] = [];
  readers.reached(readerOf('a'), place(1));
  await vi.advanceTimersByTimeAsync(100);
  readers.reached(readerOf('b'), place(2));
  for (const name of ['one', 'other']) void readers.recorded().then(() => settled.push(name));
  statements[0]?.end();
  await turns();
  expect(statements).toHaveLength(2);
  expect(settled).toEqual([]);
  statements[1]?.end();
  await turns();
  expect(settled).toEqual(['one', 'other']);
});

it('the offsets of a failed statement are recorded a second later, with newer ones', async () => {
  const readers = newReaders();
  readers.reached(readerOf('a'), place(1));
  const failing = readers.recorded();
  const failed = expect(failing).rejects.toThrow('away');
  await turns();
  statements[0]?.end(new Error('away'));
  await failed;
  readers.reached(readerOf('b'), place(2));
  await vi.advanceTimersByTimeAsync(1_000);
  expect(statements[1]?.places).toMatchObject([
    { reader: 'a', position: 1 },
    { reader: 'b', position: 2 },
  ]);
});

it('closing waits for 2 s at most, and warns of places that could not be recorded', async () => {
  const readers = newReaders();
  readers.reached(readerOf('a'), place(1));
  let isClosed = false;
  void readers.close().then(() => {
    isClosed = true;
  });
  await vi.advanceTimersByTimeAsync(1_900);
  expect(isClosed).toBe(false);
  await vi.advanceTimersByTimeAsync(200);
  expect(isClosed).toBe(true);
  statements[0]?.end(new Error('away'));
  await turns();
  expect(warned).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(statements).toHaveLength(1);
});
