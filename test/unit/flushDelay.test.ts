import { describe, expect, it } from 'vitest';
import { flushDelayMs } from '../../src/worker/writer.ts';

describe('how late output is stored', () => {
  it.each([
    ['a first output', 1_000, 0, 2],
    ['more of it', 3, 0, 25],
    ['what comes a while later', 25, 0, 2],
    ['what one follows', 3, 1, 25],
    ['what a hundred follow', 3, 100, 25],
    ['what two hundred follow', 3, 200, 50],
    ['what a thousand follow', 3, 1_000, 250],
    ['what a thousand follow, a while later', 249, 1_000, 250],
    ['a first output that a thousand follow', 250, 1_000, 2],
    ['what a hundred thousand follow', 3, 100_000, 250],
  ])('%s', (_what, sinceLastMs, followers, delayMs) => {
    expect(flushDelayMs(sinceLastMs, followers)).toBe(delayMs);
  });
});
