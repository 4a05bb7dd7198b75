/**
 * `npm run release`: makes everything that is published of the version in package.json, from the commit that is checked
 * out, into the folder `release`. Needs an engine, git and the docker program. Publishes nothing.
 *
 * With `--tarball`, it makes only what needs no engine: the npm package with its SBOM, notices and notes.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { releaseImages } from './release/images.mjs';
import { makePackage } from './release/package.mjs';
import { npmComponents, sbomOf } from './release/sbom.mjs';
import { composeFileOf, dotEnvOf, releaseNotes } from './release/texts.mjs';
import { NOTICES_FILE } from './setup/notices.mjs';
import { projectRoot } from './setup/projectRoot.mjs';
import { runCommand } from './setup/runCommand.mjs';
import { setUp, setUpCode } from './setup/setUp.mjs';
import { runScript, SetupError } from './setup/setupError.mjs';
import { step } from './setup/steps.mjs';

const FOLDER = join(projectRoot, 'release');
const read = (...path) => readFileSync(join(projectRoot, ...path), 'utf8');
const write = (name, text) => writeFileSync(join(FOLDER, name), text);

await runScript(async () => {
  const time = await timeOfCleanCommit();
  const { version } = JSON.parse(read('package.json'));
  const notes = releaseNotes({ changelog: read('CHANGELOG.md'), version });
  await setUpCode();
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(FOLDER);

  await step(`Packing cellhouse-${version}.tgz`, () => makePackage(FOLDER));
  const notices = read('dist', NOTICES_FILE);
  const inProgram = npmComponents(notices, JSON.parse(read('package-lock.json')).packages);
  const writeSbom = (name, components) =>
    write(`${name}-${version}.cdx.json`, sbomOf({ name, version, time, components }));
  writeSbom('cellhouse', [...inProgram.bundled, ...inProgram.installed]);
  write(NOTICES_FILE, notices);
  write('RELEASE_NOTES.md', notes);

  if (!process.argv.includes('--tarball')) {
    const { workerImage } = await setUp();
    const images = await releaseImages({ folder: FOLDER, version, workerImage });
    writeSbom('cellhouse-gateway', [...inProgram.bundled, ...images.gateway]);
    writeSbom('cellhouse-worker', images.worker);
    write('docker-compose.yml', composeFileOf(read('docker-compose.yml')));
    write('.env', dotEnvOf(version));
  }
  write('SHA256SUMS', checksums());
  console.log(`The release ${version} is in ${FOLDER}. CONTRIBUTING.md says how to publish it.`);
});

/** When the commit was made. @throws SetupError if the tree has changes that are in no commit */
async function timeOfCleanCommit() {
  const changes = await git('status', '--porcelain');
  if (changes !== '') {
    throw new SetupError(
      `A release is made from a commit, but this tree has changes that are in none. Commit or remove them first:\n${changes.trimEnd()}`,
    );
  }
  return new Date((await git('show', '--no-patch', '--format=%cI', 'HEAD')).trim());
}

function git(...args) {
  return runCommand('git', args, { cwd: projectRoot });
}

/** The lines that `sha256sum --check` takes, for all files of the folder. */
function checksums() {
  const hashOf = (name) =>
    createHash('sha256')
      .update(readFileSync(join(FOLDER, name)))
      .digest('hex');
  const names = readdirSync(FOLDER).sort();
  return names.map((name) => `${hashOf(name)}  ${name}\n`).join('');
}
