import type { Environment } from '../domain/environment.ts';

/** After a failure, so much time for what may have been away: an index, a mirror, room on the disk. */
const FIRST_PAUSE_MS = 300_000;
const MAX_FAILURES = 8;

/**
 * Whether the gateway may ask for a version in the place of `former` by itself. What failed may have failed for a reason
 * that passes, so it is asked for again, each time after twice the time, up to 8 times on one worker image. Then
 * it is left to an operator.
 * @param versions all that are not removed
 */
export function mayRebuild(
  versions: readonly Environment[],
  former: Environment,
  baseImageId: string,
  now: Date,
): boolean {
  const newer = versions.filter(
    ({ name, number }) => name === former.name && number > former.number,
  );
  if (newer.some(({ state }) => state === 'BUILDING')) return false;
  // What an operator asked for may be something else.
  const failures = newer.filter(
    (each) =>
      each.state === 'FAILED' && each.reason !== 'asked' && each.baseImageId === baseImageId,
  );
  if (failures.length === 0) return true;
  if (failures.length >= MAX_FAILURES) return false;
  const lastMs = Math.max(...failures.map(({ finishedAt }) => finishedAt?.getTime() ?? 0));
  return now.getTime() - lastMs >= FIRST_PAUSE_MS * 2 ** (failures.length - 1);
}
