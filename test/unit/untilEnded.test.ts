import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { Owner } from '../../src/domain/users.ts';
import { untilEnded } from '../../src/service/forget.ts';

const OWNER: Owner = { tenant: 'a', userUuid: 'ann' };
const REMOVAL_MS = 1_000;
/** By how much the clock advances with each look. */
const STEP_MS = 1_000;

beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }));
afterEach(() => void vi.useRealTimers());

it('a gateway has time to record the outcome of a change after the worker is gone', async () => {
  const startedAt = performance.now();
  const passedMs = () => performance.now() - startedAt;
  let endedMs: number | null = null;
  const none = { sessions: 0, contexts: 0, executions: 0 };
  const queries = {
    unfinishedOf: async () => ({
      ...none,
      workers: passedMs() < REMOVAL_MS ? 1 : 0,
      fileChanges: endedMs === null ? 1 : 0,
    }),
    pendingChangesOf: async () => {
      endedMs ??= passedMs();
      return [];
    },
  };
  const otherGateways = async () => {
    vi.advanceTimersByTime(STEP_MS);
    return ['another'];
  };
  const database = { queries, leases: { otherGateways }, store: {} };
  await untilEnded({ database, now: () => new Date() } as never, OWNER);
  expect(endedMs).toBeGreaterThan(REMOVAL_MS + 2_000);
});
