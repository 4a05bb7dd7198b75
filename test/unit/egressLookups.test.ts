/** Which name is looked up next. The slow names of one asker do not delay others. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { Address } from '../../src/domain/egress.ts';
import { createLookupQueue, type Lookup } from '../../src/egress/createLookup.ts';

const FOUND: readonly Address[] = [{ family: 4, value: 1n }];

/** The names that are being looked up, the oldest first, each with the function that ends its lookup. */
let running: Map<string, () => void>;
let begun: string[];
let lookup: Lookup;

beforeEach(() => {
  [running, begun] = [new Map(), []];
  lookup = createLookupQueue({
    ...{ maxRunning: 2, maxOfAsker: 1, maxWaiting: 100 },
    resolve: (name) => {
      begun.push(name);
      return new Promise((resolve, reject) => {
        running.set(name, () => {
          running.delete(name);
          if (name.startsWith('bad')) reject(new Error(name));
          else resolve(FOUND);
        });
      });
    },
  });
});

const never = () => new AbortController().signal;

/** Ends the lookup, and waits until the next ones have begun. */
async function end(name: string): Promise<void> {
  running.get(name)?.();
  await new Promise((resolve) => setImmediate(resolve));
}

describe('names that code asks for', () => {
  it('are looked up for each asker in turn, one at a time', async () => {
    for (const name of ['a1', 'a2', 'a3', 'a4']) void lookup(name, 'a', never());
    for (const name of ['b1', 'b2']) void lookup(name, 'b', never());
    void lookup('c1', 'c', never());
    expect(begun).toEqual(['a1', 'b1']);
    for (const name of ['b1', 'a1', 'b2', 'a2', 'a3']) await end(name);
    expect(begun).toEqual(['a1', 'b1', 'b2', 'a2', 'c1', 'a3', 'a4']);
  });

  it('are not looked up for an asker who has given up', async () => {
    const gone = new AbortController();
    const all = Array.from({ length: 1_000 }, async (_, at) => {
      // These are more than may wait, but each gives up before the next one asks.
      const own = new AbortController();
      const asked = lookup(`a${at}`, 'a', own.signal);
      own.abort();
      await expect(asked).rejects.toBe(own.signal.reason);
    });
    await Promise.all(all);
    void lookup('b1', 'b', never());
    const late = lookup('a1', 'a', gone.signal);
    expect(begun).toEqual(['a0', 'b1']);
    gone.abort();
    await expect(late).rejects.toThrow();
    await expect(lookup('a2', 'a', gone.signal)).rejects.toThrow();
    await end('a0');
    await end('b1');
    expect(begun).toEqual(['a0', 'b1']);
  });

  it('are looked up once for all who ask at that time, even if the first of them gives up', async () => {
    const gone = new AbortController();
    void lookup('a1', 'a', never());
    void lookup('b1', 'b', never());
    const first = lookup('same', 'a', gone.signal);
    const second = lookup('same', 'a', never());
    const third = lookup('same', 'b', never());
    gone.abort();
    await expect(first).rejects.toThrow();
    // Both `a` and `b` ask for this name, so the next turn of either begins the lookup.
    await end('b1');
    const fourth = lookup('same', 'c', never());
    expect(begun).toEqual(['a1', 'b1', 'same']);
    await end('same');
    expect(await Promise.all([second, third, fourth])).toEqual([FOUND, FOUND, FOUND]);
    await end('a1');
    void lookup('same', 'a', never());
    expect(begun).toEqual(['a1', 'b1', 'same', 'same']);
  });

  it('fail only for those who asked for them', async () => {
    const bad = lookup('bad', 'a', never());
    const good = lookup('good', 'a', never());
    void end('bad');
    await expect(bad).rejects.toThrow('bad');
    await end('good');
    expect(await good).toEqual(FOUND);
  });

  it('are refused if too many wait', async () => {
    const gone = Array.from({ length: 101 }, () => new AbortController());
    const waiting = gone.map(({ signal }, at) => lookup(`a${at}`, 'a', signal));
    await expect(lookup('b1', 'a', never())).rejects.toMatchObject({
      status: 503,
      outcome: 'too-many',
    });
    const known = lookup('a100', 'a', never());
    for (const each of gone) each.abort();
    await Promise.all(waiting.map((each) => expect(each).rejects.toThrow()));
    await end('a0');
    await end('a100');
    expect(await known).toEqual(FOUND);
  });
});
