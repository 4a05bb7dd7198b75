import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { untilInitialized } from '../../src/service/waiting.ts';

/** A pool that the test initializes. */
function startingPool() {
  const listeners = new Set<() => void>();
  const pool = {
    isInitializing: true,
    onChange: (listener: () => void) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  const changed = () => {
    for (const listener of listeners) listener();
  };
  return { pool, listeners, changed };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('a call to a gateway that has just started', () => {
  it('waits until the workers are taken over, and leaves no listener or timer', async () => {
    const { pool, listeners, changed } = startingPool();
    const waiting = untilInitialized(pool);
    changed();
    expect(listeners.size).toBe(1);
    pool.isInitializing = false;
    changed();
    await waiting;
    expect(listeners.size).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('is refused with POOL_INITIALIZING if that takes too long', async () => {
    const { pool, listeners } = startingPool();
    const refused = expect(untilInitialized(pool)).rejects.toMatchObject({
      code: 'POOL_INITIALIZING',
      details: { retryAfterMs: 1_000 },
    });
    await vi.advanceTimersByTimeAsync(10_000);
    await refused;
    expect(listeners.size).toBe(0);
  });

  it('does not wait once the gateway is initialized', async () => {
    const { pool, listeners } = startingPool();
    pool.isInitializing = false;
    await untilInitialized(pool);
    expect(listeners.size).toBe(0);
  });
});
