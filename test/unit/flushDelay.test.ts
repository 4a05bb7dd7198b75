import { describe, expect, it } from 'vitest';
import { flushDelayMs } from '../../src/worker/writer.ts';

describe('the delay in ms until output is stored', () => {
  it.each([
    ['a first output', 1_000, 0, 2],
    ['the next output', 3, 0, 25],
    ['an output 25 ms later', 25, 0, 2],
    ['the next output with one follower', 3, 1, 25],
    ['the next output with a hundred followers', 3, 100, 25],
    ['the next output with two hundred followers', 3, 200, 50],
    ['the next output with a thousand followers', 3, 1_000, 250],
    ['an output 249 ms later with a thousand followers', 249, 1_000, 250],
    ['an output 250 ms later with a thousand followers', 250, 1_000, 2],
    ['the next output with a hundred thousand followers', 3, 100_000, 250],
  ])('of %s', (_what, sinceLastMs, followers, delayMs) => {
    expect(flushDelayMs(sinceLastMs, followers)).toBe(delayMs);
  });
});
