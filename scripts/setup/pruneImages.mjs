/**
 * Removes images that Cellhouse built and nothing uses any more:
 *
 * | kind    | image                                           | removed when unused for | except              |
 * |---------|-------------------------------------------------|-------------------------|---------------------|
 * | worker  | `cellhouse-worker:<hash>`                       | 30 days                 | the three used last |
 * | base    | `cellhouse-base:<hash>`                         | 30 days                 | the three used last |
 * | gateway | built for docker compose, and without a name    | 30 days                 |                     |
 * | environment | `cellhouse-environment:...`, and without a name | 30 days            |                     |
 * | test    | built by tests and benches: `cellhouse-test-...` | 7 days                 |                     |
 *
 * Building an image is a use. When a set-up or a test finds an image that it needs, that is a use, too: the image is
 * given its own name again, and the engine records the time. An image with containers, running or not, is never
 * removed.
 *
 * Each image that Cellhouse builds has the label `cellhouse.image` with its kind. An image that somebody made from one
 * of them inherits the label, but has another name, and is left alone.
 *
 * A gateway that builds environments notes once a day that the images of serving environments are used. It removes
 * other images of environments itself. So only images of an installation that is gone are ever unused for 30 days.
 *
 * Worker images are kept long, because another installation on this engine may have no worker at the moment. Three are
 * always kept, because an update may be undone. A set-up prunes after it has built a worker image; `npm test` always
 * prunes.
 */
import { ask, giveName, remove } from './engineApi.mjs';
import { detail } from './steps.mjs';

const LABEL = 'cellhouse.image';
const MS_PER_DAY = 86_400_000;
const LIMITS = {
  worker: { unusedDays: 30, kept: 3 },
  base: { unusedDays: 30, kept: 3 },
  gateway: { unusedDays: 30, kept: 0 },
  environment: { unusedDays: 30, kept: 0 },
  test: { unusedDays: 7, kept: 0 },
};
/** Only Cellhouse gives such names. */
const NAMES = {
  worker: /^cellhouse-worker:[0-9a-f]{16}$/,
  base: /^cellhouse-base:[0-9a-f]{12}$/,
  environment: /^cellhouse-environment:/,
  test: /^cellhouse-test-/,
};

/**
 * @param {keyof typeof LIMITS} kind
 * @returns {Record<string, string>} the labels of an image that Cellhouse builds
 */
export function imageLabels(kind) {
  return { [LABEL]: kind };
}

/**
 * Records that one of our images is used now, so that it is not pruned.
 * @param {string} image `name:tag`
 */
export async function noteUse(image) {
  await giveName(image, image);
}

/**
 * Removes those of our images that nothing uses any more.
 * @param {number} [nowMs]
 */
export async function pruneImages(nowMs = Date.now()) {
  const images = (await ask('/images/json')) ?? [];
  const ours = images.filter((image) => kindOf(image) !== null);
  const looks = await Promise.all(ours.map(({ Id }) => ask(`/images/${Id}/json`)));
  const lastUsed = new Map(looks.flatMap((look) => (look ? [[look.Id, lastUseOf(look)]] : [])));
  const containers = (await ask('/containers/json?all=1')) ?? [];
  const inUse = new Set(containers.map(({ ImageID }) => ImageID));
  for (const name of imagesToPrune(ours, { lastUsed, inUse, nowMs })) {
    detail(`removing the unused image ${name}`);
    await remove(`/images/${name}`);
  }
}

/** When the image was built or was last given a name, whichever is later. */
function lastUseOf({ Created, Metadata }) {
  return Math.max(Date.parse(Created), Date.parse(Metadata?.LastTagTime ?? '') || 0);
}

/**
 * The names of the images to remove, or the id of an image without a name.
 * @param {readonly { Id: string, RepoTags?: readonly string[] | null, Labels?: Record<string, string> | null }[]} images
 * @param {{ lastUsed: ReadonlyMap<string, number>, inUse: ReadonlySet<string>, nowMs: number }} facts
 * `lastUsed`: by image id, in ms since the epoch. `inUse`: the ids of images with containers
 * @returns {string[]}
 */
export function imagesToPrune(images, { lastUsed, inUse, nowMs }) {
  // An image that was removed meanwhile has no last use.
  const there = images.filter(({ Id }) => lastUsed.has(Id));
  return Object.entries(LIMITS).flatMap(([kind, { unusedDays, kept }]) =>
    there
      .filter((image) => kindOf(image) === kind)
      .sort((one, other) => lastUsed.get(other.Id) - lastUsed.get(one.Id))
      .slice(kept)
      .filter(({ Id }) => !inUse.has(Id) && nowMs - lastUsed.get(Id) >= unusedDays * MS_PER_DAY)
      .flatMap((image) => (namesOf(image).length > 0 ? namesOf(image) : [image.Id])),
  );
}

/** Null: Cellhouse did not build the image, or somebody has given it another name. */
function kindOf(image) {
  const label = image.Labels?.[LABEL];
  const names = namesOf(image);
  if (label === 'test') return 'test';
  if (names.length === 0) return ['gateway', 'environment'].includes(label) ? label : null;
  const kinds = names.map(kindOfName);
  if (kinds.includes(null)) return null;
  return kinds.find((kind) => kind !== 'test') ?? 'test';
}

function kindOfName(name) {
  return Object.keys(NAMES).find((kind) => NAMES[kind].test(name)) ?? null;
}

function namesOf({ RepoTags }) {
  return (RepoTags ?? []).filter((name) => name !== '<none>:<none>');
}
