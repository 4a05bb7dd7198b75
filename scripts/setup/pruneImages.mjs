import { ask, remove } from './engineApi.mjs';
import { detail } from './steps.mjs';

/** Some images are kept, so that one can go back to an earlier version. */
const KEPT_IMAGES = 3;
/** Newer images are kept, because another checkout on this machine may be about to use them. */
const MIN_AGE_MS = 86_400_000;

/**
 * Removes old worker images, as each change of the worker leaves one. An image that a container uses stays, however old
 * it is.
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
 * The names of the images that can be removed, oldest last.
 * @param {readonly { Id: string, Created: number, RepoTags: readonly string[] | null }[]} images `Created` in seconds
 * @param {ReadonlySet<string>} used ids of the images that containers were made from
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
