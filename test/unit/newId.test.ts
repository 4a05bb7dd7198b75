import { validate, version } from 'uuid';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { newId } from '../../src/process/newId.ts';

const COUNT = 2_000;
const made = () => Array.from({ length: COUNT }, () => String(newId()));

describe('ids', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it('are UUIDs of version 7, and all different', () => {
    const ids = made();
    expect(ids.every((id) => validate(id) && version(id) === 7)).toBe(true);
    expect(new Set(ids).size).toBe(COUNT);
    expect(new Set(ids.map((id) => id.slice(-10))).size).toBeGreaterThan(COUNT * 0.99);
  });

  it('sort in the order in which they were made, even when the clock stands still or goes back', () => {
    vi.useFakeTimers({ now: Date.now() + 10_000 });
    const ids = made();
    vi.setSystemTime(Date.now() - 5_000);
    ids.push(...made());
    expect(ids.toSorted()).toEqual(ids);
  });
});
