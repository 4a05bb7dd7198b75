import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { debianMirrors, sourcesFile } from './aptSources.mjs';
import { bootstrapBase } from './bootstrapBase.mjs';
import { buildImage } from './buildImage.mjs';
import { ask, runTask } from './engineApi.mjs';
import { imageLabels, noteUse } from './pruneImages.mjs';
import { detail, step } from './steps.mjs';

const SUITE = 'trixie';
/**
 * `debian:trixie-slim` as of 2026-08-24 (the index over all architectures). To update it, run `docker pull
 * debian:trixie-slim`, put the printed digest here, and start once.
 */
const DIGEST = 'sha256:d7e12182ce18b85b93007c1dedf31f2d29e01ccf3182cc4017c709b6259bc132';
/** A reachable registry confirms within this time that it has the image. The download itself may take longer. */
const REGISTRY_TIMEOUT_MS = 8_000;
/** Raise this when the way to make the image changes. */
const RECIPE = 1;

/** The image that the other images are built on. Its tag is a hash of how it is made. */
export const BASE_IMAGE = `cellhouse-base:${createHash('sha256')
  .update(JSON.stringify([RECIPE, SUITE, DIGEST]))
  .digest('hex')
  .slice(0, 12)}`;

/**
 * Makes the base image unless it exists. It is pulled, or made with debootstrap if it cannot be pulled. Its labels say
 * which. In both cases packages, including security updates, can be installed in it.
 */
export async function ensureBaseImage() {
  const isThere = (await ask(`/images/${BASE_IMAGE}/json`)) !== null;
  if (isThere) await noteUse(BASE_IMAGE);
  else await step(`Making the base image ${BASE_IMAGE}`, make);
  return BASE_IMAGE;
}

async function make() {
  const mirrors = await debianMirrors();
  const sources = sourcesFile(SUITE, mirrors);
  const pulled = await pull();
  if (pulled === null) {
    detail('no image registry answers: making it with debootstrap');
    return bootstrapBase({ suite: SUITE, mirror: mirrors.main, sources, image: BASE_IMAGE });
  }
  await buildImage({
    image: BASE_IMAGE,
    labels: imageLabels('base'),
    files: { Dockerfile: dockerfile(pulled), 'debian.sources': sources },
  });
}

/** Adds this machine's Debian mirrors to the pulled image. */
function dockerfile(from) {
  return [
    `FROM ${from}`,
    `LABEL cellhouse.base.made-by=pull cellhouse.base.from=${from}`,
    'COPY debian.sources /etc/apt/sources.list.d/debian.sources',
    'RUN rm -f /etc/apt/sources.list',
  ].join('\n');
}

/** Pulls the image and returns its name. Null if that fails, for example because no registry answers. */
async function pull() {
  const name = `debian@${DIGEST}`;
  const abort = new AbortController();
  const answered = new AbortController();
  delay(REGISTRY_TIMEOUT_MS, undefined, { signal: answered.signal }).then(
    () => abort.abort(),
    () => undefined,
  );
  detail(`pulling ${name}`);
  try {
    await runTask({
      path: `/images/create?fromImage=debian&tag=${encodeURIComponent(DIGEST)}`,
      signal: abort.signal,
      // The first line arrives once the registry has sent the manifest.
      onLine: () => answered.abort(),
    });
    return name;
  } catch (e) {
    detail(abort.signal.aborted ? `no answer within ${REGISTRY_TIMEOUT_MS / 1000} s` : e.message);
    return null;
  } finally {
    answered.abort();
  }
}
