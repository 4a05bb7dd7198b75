/** How many requests of one Jupyter client a gateway keeps. */
import { describe, expect, it } from 'vitest';
import { createRequestQueue } from '../../src/doors/jupyter/requestQueue.ts';

const MIB = 1024 * 1024;
const never = () => new Promise<void>(() => undefined);

describe('a queue of requests', () => {
  it('carries requests out in their order, and urgent ones beside them', async () => {
    const queue = createRequestQueue(Promise.resolve());
    const begun: string[] = [];
    const run = (name: string) => async () => void begun.push(name);
    queue.add(1, never);
    queue.add(1, run('behind'));
    queue.addUrgent(1, run('interrupt'));
    await new Promise((resolve) => setImmediate(resolve));
    expect(begun).toEqual(['interrupt']);
  });

  it.each([
    ['add', 2_000],
    ['addUrgent', 64],
  ] as const)('%s takes %i at a time', (how, limit) => {
    const queue = createRequestQueue(Promise.resolve());
    for (let at = 0; at < limit; at += 1) expect(queue[how](1, never)).toBe(true);
    expect(queue[how](1, never)).toBe(false);
  });

  it('keeps at most 32 MiB of all of them, until they are carried out', async () => {
    const queue = createRequestQueue(Promise.resolve());
    expect(queue.add(16 * MIB, never)).toBe(true);
    expect(queue.addUrgent(16 * MIB, async () => undefined)).toBe(true);
    expect([queue.add(1, never), queue.addUrgent(1, never)]).toEqual([false, false]);
    await new Promise((resolve) => setImmediate(resolve));
    expect(queue.addUrgent(16 * MIB, never)).toBe(true);
  });
});
