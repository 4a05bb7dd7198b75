import type { Environment } from '../domain/environment.ts';

/** The first pause after a failure. An index, a mirror or disk space may be available again after it. */
const FIRST_PAUSE_MS = 300_000;
const MAX_FAILURES = 8;

/**
 * Whether the gateway itself may request a version to replace `former`. The reason of a failure may be temporary, so a
 * failed build is requested again. The pause doubles each time. After {@link MAX_FAILURES} failures on one worker
 * image, only an operator can request the build again.
 * @param versions all versions that are not removed
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
  // Versions that an operator requested do not count, because their spec may differ.
  const failures = newer.filter(
    (each) =>
      each.state === 'FAILED' && each.reason !== 'asked' && each.baseImageId === baseImageId,
  );
  if (failures.length === 0) return true;
  if (failures.length >= MAX_FAILURES) return false;
  const lastMs = Math.max(...failures.map(({ finishedAt }) => finishedAt?.getTime() ?? 0));
  return now.getTime() - lastMs >= FIRST_PAUSE_MS * 2 ** (failures.length - 1);
}
