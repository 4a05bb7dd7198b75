/** Uses of a session are recorded often enough for its idle time, and not more often. */
import { afterEach, expect, it, vi } from 'vitest';
import type { SessionId } from '../../src/domain/ids.ts';
import { newId } from '../../src/process/newId.ts';
import { createSessionUses } from '../../src/service/sessions/sessionUses.ts';

afterEach(() => {
  vi.useRealTimers();
});

const START_MS = 1_000_000;
const USES = 200;
const STEP_MS = 100;

/** Uses a session every 100 ms for 20 s. Resolves with the times of the recorded uses. */
async function recordedUses(idleTimeoutMs: number | null): Promise<number[]> {
  const session = { id: newId<SessionId>(), idleTimeoutMs };
  const at: number[] = [];
  let nowMs = START_MS;
  const uses = createSessionUses({
    queries: {
      touchSession: async (_id, time) => {
        at.push(time.getTime());
        return true;
      },
    },
    sessionIdleTimeoutMs: 3_600_000,
    now: () => new Date(nowMs),
  });
  for (let use = 0; use < USES; use += 1) {
    expect(await uses.use(session)).toBe(true);
    nowMs += STEP_MS;
  }
  return at;
}

const longestPause = (times: readonly number[]) =>
  Math.max(...times.slice(1).map((time, index) => time - (times[index] ?? 0)));

it('uses are recorded every 5 s at the default idle time', async () => {
  const times = await recordedUses(null);
  expect(times).toHaveLength(4);
  expect(longestPause(times)).toBe(5_000);
});

it('uses are recorded four times within a short idle time', async () => {
  const times = await recordedUses(2_000);
  expect(times).toHaveLength(40);
  expect(longestPause(times)).toBe(500);
});

it('uses at the same time are recorded once; if that fails, the next use is recorded', async () => {
  const session = { id: newId<SessionId>(), idleTimeoutMs: null };
  const answers: ((isOpen: boolean) => void)[] = [];
  const fails: ((error: Error) => void)[] = [];
  const uses = createSessionUses({
    queries: {
      touchSession: () =>
        new Promise((resolve, reject) => {
          answers.push(resolve);
          fails.push(reject);
        }),
    },
    sessionIdleTimeoutMs: 3_600_000,
    now: () => new Date(START_MS),
  });
  const failing = [uses.use(session), uses.use(session)];
  fails[0]?.(new Error('away'));
  for (const use of failing) await expect(use).rejects.toThrow('away');
  const closed = [uses.use(session), uses.use(session)];
  answers[1]?.(false);
  expect(await Promise.all(closed)).toEqual([false, false]);
  const open = [uses.use(session), uses.use(session)];
  answers[2]?.(true);
  expect(await Promise.all(open)).toEqual([true, true]);
  expect(await uses.use(session)).toBe(true);
  expect(answers).toHaveLength(3);
});

/** The uses of sessions, with a clock that only the test advances. */
function usesOfOpenSessions() {
  vi.useFakeTimers();
  const touchSession = vi.fn<(id: SessionId, at: Date) => Promise<boolean>>(async () => true);
  const uses = createSessionUses({
    queries: { touchSession },
    sessionIdleTimeoutMs: 3_600_000,
    now: () => new Date(),
  });
  return { uses, touchSession };
}

it('a use that lasts is recorded until it ends, even while recording fails, or until its session is closed', async () => {
  const { uses, touchSession } = usesOfOpenSessions();
  const session = { id: newId<SessionId>(), idleTimeoutMs: 1_000 };
  const letGo = uses.hold(session);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(touchSession).toHaveBeenCalledTimes(21);
  touchSession.mockRejectedValueOnce(new Error('away'));
  await vi.advanceTimersByTimeAsync(500);
  expect(touchSession).toHaveBeenCalledTimes(23);
  await vi.advanceTimersByTimeAsync(249);
  letGo();
  await vi.advanceTimersByTimeAsync(5_000);
  expect(touchSession).toHaveBeenCalledTimes(23);

  uses.hold(session);
  touchSession.mockResolvedValueOnce(false);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(touchSession).toHaveBeenCalledTimes(25);
  expect(vi.getTimerCount()).toBe(0);
});

it('a use that lasts for long is recorded at once, each minute, and at its end', async () => {
  const { uses, touchSession } = usesOfOpenSessions();
  const session = { id: newId<SessionId>(), idleTimeoutMs: null };
  const letGo = uses.hold(session);
  await vi.advanceTimersByTimeAsync(3_599_000);
  expect(touchSession).toHaveBeenCalledTimes(60);
  letGo();
  await vi.advanceTimersByTimeAsync(3_600_000);
  expect(touchSession).toHaveBeenCalledTimes(61);
  uses.hold({ ...session, idleTimeoutMs: 1_000 });
  touchSession.mockResolvedValue(false);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(touchSession).toHaveBeenCalledTimes(63);
  expect(vi.getTimerCount()).toBe(0);
});
