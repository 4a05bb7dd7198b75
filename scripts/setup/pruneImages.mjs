/**
 * Which of our images go, and when:
 *
 * | kind    | what it is                                         | goes when unused for | but for             |
 * |---------|----------------------------------------------------|----------------------|---------------------|
 * | worker  | `cellhouse-worker:<hash>`                          | 30 days              | the three used last |
 * | base    | `cellhouse-base:<hash>`                            | 30 days              | the three used last |
 * | gateway | what a build for docker compose left without a name | 30 days             |                     |
 * | test    | what tests and benches build, `cellhouse-test-...` | 7 days               |                     |
 *
 * An image is used when it is built, and when a set-up or a test finds it there: it is then given its name anew, and the
 * engine notes when. One that a container was made of, whether that runs or not, never goes.
 *
 * All that we build bears the label `cellhouse.image`, which names the kind. An image that somebody made from one of ours
 * has the label too, but a name of its own, and is left alone.
 *
 * A worker image is kept for long, since another installation may have no worker just now, and some are always kept, since
 * an update that disappoints is taken back. A set-up prunes after it has built a worker image, `npm test` each time.
 */
import { ask, giveName, remove } from './engineApi.mjs';
import { detail } from './steps.mjs';

const LABEL = 'cellhouse.image';
const MS_PER_DAY = 86_400_000;
const LIMITS = {
  worker: { unusedDays: 30, kept: 3 },
  base: { unusedDays: 30, kept: 3 },
  gateway: { unusedDays: 30, kept: 0 },
  test: { unusedDays: 7, kept: 0 },
};
/** Names that nobody else gives. */
const NAMES = {
  worker: /^cellhouse-worker:[0-9a-f]{16}$/,
  base: /^cellhouse-base:[0-9a-f]{12}$/,
  test: /^cellhouse-test-/,
};

/**
 * @param {keyof typeof LIMITS} kind
 * @returns {Record<string, string>} what an image of ours bears
 */
export function imageLabels(kind) {
  return { [LABEL]: kind };
}

/**
 * Notes that an image of ours is used now, which keeps it from being pruned.
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
    detail(`removing the image ${name}, which nothing uses any more`);
    await remove(`/images/${name}`);
  }
}

/** When it was made or was last given a name. */
function lastUseOf({ Created, Metadata }) {
  return Math.max(Date.parse(Created), Date.parse(Metadata?.LastTagTime ?? '') || 0);
}

/**
 * Names of those that can go; of one without a name, its id.
 * @param {readonly { Id: string, RepoTags?: readonly string[] | null, Labels?: Record<string, string> | null }[]} images
 * @param {{ lastUsed: ReadonlyMap<string, number>, inUse: ReadonlySet<string>, nowMs: number }} facts
 * by id: when each was used last, in ms since the epoch, and which ones containers were made of
 * @returns {string[]}
 */
export function imagesToPrune(images, { lastUsed, inUse, nowMs }) {
  // One that is gone by now has no last use.
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

/** Null: it is not ours, or somebody has given it a name of theirs. */
function kindOf(image) {
  const label = image.Labels?.[LABEL];
  const names = namesOf(image);
  if (label === 'test') return 'test';
  if (names.length === 0) return label === 'gateway' ? 'gateway' : null;
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
