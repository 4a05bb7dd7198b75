import { ask, remove } from './engineApi.mjs';
import { detail } from './steps.mjs';

/** To go back to, after an update that disappoints. */
const KEPT_IMAGES = 3;
/** Another checkout on this machine may be about to use one that was made lately. */
const MIN_AGE_MS = 86_400_000;

/**
 * Removes old worker images: each edit of the worker leaves one. Those that a container uses, however old it is, stay.
 * @param {string} repository e.g. `cellhouse-worker`
 */
export async function pruneImages(repository) {
  const filters = encodeURIComponent(JSON.stringify({ reference: [repository] }));
  const images = (await ask(`/images/json?filters=${filters}`)) ?? [];
  const containers = (await ask('/containers/json?all=1')) ?? [];
  const used = new Set(containers.map(({ ImageID }) => ImageID));
  for (const name of imagesToPrune(images, used, Date.now())) {
    detail(`removing ${name}, which nothing uses any more`);
    await remove(`/images/${name}`);
  }
}

/**
 * The names of those that can go, oldest last.
 * @param {readonly { Id: string, Created: number, RepoTags: readonly string[] | null }[]} images `Created` in seconds
 * @param {ReadonlySet<string>} used ids of those that containers were made of
 * @param {number} nowMs
 * @returns {string[]}
 */
export function imagesToPrune(images, used, nowMs) {
  return [...images]
    .sort((one, other) => other.Created - one.Created)
    .slice(KEPT_IMAGES)
    .filter(({ Id, Created }) => !used.has(Id) && nowMs - Created * 1_000 >= MIN_AGE_MS)
    .flatMap(({ RepoTags }) => RepoTags ?? []);
}
