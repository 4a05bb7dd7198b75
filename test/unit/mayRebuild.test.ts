import { expect, it } from 'vitest';
import { type Environment, evolveEnvironment } from '../../src/domain/environment.ts';
import { mayRebuild } from '../../src/environments/upkeep.ts';
import { environmentRequested } from '../../testkit/events.ts';

const MINUTE_MS = 60_000;
const START = new Date('2026-01-01T00:00:00.000Z');
const inMinutes = (minutes: number) => new Date(START.getTime() + minutes * MINUTE_MS);

function requested(number: number, over: Parameters<typeof environmentRequested>[0]): Environment {
  const [event] = environmentRequested({ number, baseImageId: 'new', ...over }).events;
  return evolveEnvironment(null, event as never);
}
function failed(number: number, minutes: number, over = {}): Environment {
  const data = {
    at: inMinutes(minutes).toISOString(),
    failure: 'The index is away.',
    lastLines: '',
  };
  const state = requested(number, { reason: 'base-changed', ...over });
  return evolveEnvironment(state, { type: 'EnvironmentBuildFailed', data });
}
const FORMER = requested(1, { baseImageId: 'old' });
const may = (versions: Environment[], minutes: number) =>
  mayRebuild([...versions.toReversed(), FORMER], FORMER, 'new', inMinutes(minutes));

it('a rebuild is begun once, and again after pauses that double', () => {
  expect(may([], 0)).toBe(true);
  expect(may([requested(2, { reason: 'base-changed' })], 1_000)).toBe(false);
  expect(may([failed(2, 0)], 4)).toBe(false);
  expect(may([failed(2, 0)], 5)).toBe(true);
  expect(may([failed(2, 0), failed(3, 5)], 14)).toBe(false);
  expect(may([failed(2, 0), failed(3, 5)], 15)).toBe(true);
});

it('a rebuild is left to an operator after eight failures on a worker image', () => {
  const failures = [2, 3, 4, 5, 6, 7, 8, 9].map((number) => failed(number, 0));
  expect(may(failures.slice(1), 1_000)).toBe(true);
  expect(may(failures, 1_000_000)).toBe(false);
  // Failures on another image do not count, nor do failures of builds that an operator has asked for.
  const elsewhere = [2, 3].map((number) => failed(number, 0, { baseImageId: 'other' }));
  const asked = [4, 5].map((number) => failed(number, 0, { reason: 'asked' }));
  expect(may([...elsewhere, ...asked], 0)).toBe(true);
});
