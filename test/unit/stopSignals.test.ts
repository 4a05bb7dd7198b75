/** When a gateway stops, and what a second word of it means. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { onStopSignals } from '../../src/process/stopSignals.ts';

const exit = vi.fn();
const close = vi.fn(() => new Promise<void>(() => undefined));
let exitCode: typeof process.exitCode;

beforeEach(() => {
  vi.useFakeTimers();
  exitCode = process.exitCode;
  vi.spyOn(process, 'exit').mockImplementation(exit as never);
  vi.spyOn(console, 'log').mockReturnValue();
  vi.spyOn(console, 'error').mockReturnValue();
});
afterEach(() => {
  process.exitCode = exitCode;
  process.removeAllListeners('SIGTERM').removeAllListeners('SIGINT');
  vi.restoreAllMocks();
  exit.mockClear();
  close.mockClear();
  vi.useRealTimers();
});

it('a signal stops it once, and one that comes a second later ends it at once', () => {
  onStopSignals(close);
  process.emit('SIGTERM');
  vi.advanceTimersByTime(500);
  process.emit('SIGTERM');
  expect(exit).not.toHaveBeenCalled();
  vi.advanceTimersByTime(600);
  process.emit('SIGTERM');
  expect(close).toHaveBeenCalledTimes(1);
  expect(exit.mock.calls).toEqual([[130]]);
});

it('a stop of its own is no signal: the first that follows leaves it its time', () => {
  const stop = onStopSignals(close);
  stop('it is too old');
  expect(process.exitCode).toBe(1);
  vi.advanceTimersByTime(2_000);
  process.emit('SIGTERM');
  expect(close).toHaveBeenCalledTimes(1);
  expect(exit).not.toHaveBeenCalled();
});

it('a reason to stop that comes while it stops changes nothing', () => {
  const stop = onStopSignals(close);
  process.emit('SIGTERM');
  vi.advanceTimersByTime(2_000);
  stop('it is too old');
  expect(process.exitCode).toBe(exitCode);
  expect(close).toHaveBeenCalledTimes(1);
  expect(exit).not.toHaveBeenCalled();
});
