import { expect, it } from 'vitest';
import { sharedRun } from '../../src/async/sharedRun.ts';

it('a call during a run waits for the next one, which all such calls share', async () => {
  const runs: ((outcome: number | Error) => void)[] = [];
  const shared = sharedRun(
    () =>
      new Promise<number>((resolve, reject) => {
        runs.push((outcome) => (outcome instanceof Error ? reject(outcome) : resolve(outcome)));
      }),
  );
  const first = shared();
  const during = [shared(), shared()];
  expect(runs).toHaveLength(1);
  runs[0]?.(new Error('It failed.'));
  await expect(first).rejects.toThrow('It failed.');
  await expect.poll(() => runs.length).toBe(2);
  const later = shared();
  runs[1]?.(2);
  expect(await Promise.all(during)).toEqual([2, 2]);
  await expect.poll(() => runs.length).toBe(3);
  runs[2]?.(3);
  expect(await later).toBe(3);
  const alone = shared();
  expect(runs).toHaveLength(4);
  runs[3]?.(4);
  expect(await alone).toBe(4);
});
