import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { aptInstall } from '../setup/aptInstall.mjs';
import { buildImage } from '../setup/buildImage.mjs';
import { giveName, remove } from '../setup/engineApi.mjs';
import { findProgram } from '../setup/findProgram.mjs';
import { imageLabels } from '../setup/pruneImages.mjs';
import { runCommand } from '../setup/runCommand.mjs';
import { SetupError } from '../setup/setupError.mjs';
import { step } from '../setup/steps.mjs';
import { exportCommit } from './package.mjs';
import { debianComponents, nodeComponent } from './sbom.mjs';

/** One line for each Debian package of an image. */
const DPKG_FIELDS = ['Package', 'Version', 'Architecture', 'source:Package', 'source:Version'];
const DPKG_FORMAT = `${DPKG_FIELDS.map((field) => `\${${field}}`).join('\\t')}\\n`;

/**
 * Builds the image of the gateway from the current commit, and puts it and the worker image into the folder, as
 * archives that `docker load` takes. The worker image is in its archive by two names: one with the version, for Compose,
 * and one with the hash of its files, by which an installed program looks for it.
 * @param {{ folder: string, version: string, workerImage: string }} release `workerImage`: the name with the hash
 * @returns {Promise<{ gateway: object[], worker: object[] }>} components of the images, for their SBOMs
 */
export async function releaseImages({ folder, version, workerImage }) {
  if (findProgram('docker') === null) await aptInstall(['docker-cli'], 'the docker program');
  const gateway = `cellhouse-gateway:${version}`;
  const worker = `cellhouse-worker:${version}`;
  await step(`Building ${gateway}`, () => buildGateway(gateway));
  await save(join(folder, `cellhouse-gateway-${version}.tar.gz`), [gateway]);
  await giveName(workerImage, worker);
  try {
    await save(join(folder, `cellhouse-worker-${version}.tar.gz`), [worker, workerImage]);
  } finally {
    // With this name, this machine's engine would keep the image for ever (scripts/setup/pruneImages.mjs).
    await remove(`/images/${worker}`);
  }
  const node = nodeComponent((await runIn(gateway, 'node', '--version')).trim());
  return {
    gateway: [node, ...(await debianPackages(gateway))],
    worker: await debianPackages(workerImage),
  };
}

async function buildGateway(image) {
  const folder = mkdtempSync(join(tmpdir(), 'cellhouse-gateway-'));
  try {
    await exportCommit(folder);
    await buildImage({ image, labels: imageLabels('gateway'), folder });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function save(file, images) {
  await step(`Saving ${images[0]}`, async () => {
    const saving = spawn('docker', ['save', ...images], { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = once(saving, 'close');
    await pipeline(saving.stdout, createGzip(), createWriteStream(file));
    const [code] = await ended;
    if (code !== 0) throw new SetupError(`docker save ${images.join(' ')} ended with ${code}.`);
  });
}

async function debianPackages(image) {
  return debianComponents(
    await runIn(image, 'dpkg-query', '--show', `--showformat=${DPKG_FORMAT}`),
  );
}

function runIn(image, program, ...words) {
  const command = ['run', '--rm', '--network=none', `--entrypoint=${program}`, image, ...words];
  return runCommand('docker', command);
}
