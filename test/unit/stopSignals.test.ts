/** When a gateway stops, and what a second signal does. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { onStopSignals } from '../../src/process/servingProcess.ts';

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

it('a signal stops the gateway once; a further one after a second or more ends the process at once', () => {
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

it('a gateway that stops by itself is not ended by a first signal', () => {
  const stop = onStopSignals(close);
  stop('it is too old');
  expect(process.exitCode).toBe(1);
  vi.advanceTimersByTime(2_000);
  process.emit('SIGTERM');
  expect(close).toHaveBeenCalledTimes(1);
  expect(exit).not.toHaveBeenCalled();
});

it('a further reason to stop changes nothing while the gateway stops', () => {
  const stop = onStopSignals(close);
  process.emit('SIGTERM');
  vi.advanceTimersByTime(2_000);
  stop('it is too old');
  expect(process.exitCode).toBe(exitCode);
  expect(close).toHaveBeenCalledTimes(1);
  expect(exit).not.toHaveBeenCalled();
});
