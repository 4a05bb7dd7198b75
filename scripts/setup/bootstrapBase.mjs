import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { aptInstall } from './aptInstall.mjs';
import { runTask } from './engineApi.mjs';
import { findProgram } from './findProgram.mjs';
import { projectRoot } from './projectRoot.mjs';
import { imageLabels } from './pruneImages.mjs';
import { runCommand } from './runCommand.mjs';
import { SetupError } from './setupError.mjs';
import { detail } from './steps.mjs';

/** Not /tmp, which may be in memory, or mounted so that device files cannot be created in it. */
const WORK_FOLDER = '/var/tmp';
const PREFIX = 'cellhouse-base-';

/** Leaves out documentation, like Debian's slim images, also for packages that are installed later. */
const DPKG_EXCLUDES = [
  'path-exclude /usr/share/doc/*',
  'path-include /usr/share/doc/*/copyright',
  'path-exclude /usr/share/info/*',
  'path-exclude /usr/share/man/*',
  'path-exclude /usr/share/locale/*',
];

/**
 * Makes a minimal Debian from its packages and imports it as an image.
 * @param {{ suite: string, mirror: string, sources: string, image: string }} base
 */
export async function bootstrapBase({ suite, mirror, sources, image }) {
  if (process.getuid() !== 0) {
    throw new SetupError(
      `Without an image registry the base image is made by debootstrap, which only root can run. Run this once:\n  sudo node ${join(projectRoot, 'scripts/setup.mjs')}`,
    );
  }
  if (findProgram('debootstrap') === null) {
    await aptInstall(['debootstrap', 'debian-archive-keyring'], 'debootstrap');
  }
  removeAbandoned();
  const folder = join(WORK_FOLDER, `${PREFIX}${process.pid}`);
  try {
    detail(`debootstrap ${suite} from ${mirror}`);
    const include = mirror.startsWith('https:') ? ['--include=ca-certificates'] : [];
    await runCommand(
      findProgram('debootstrap'),
      ['--variant=minbase', ...include, suite, folder, mirror],
      {
        advice: `Is ${mirror} reachable from here?`,
      },
    );
    slim(folder, sources);
    detail('importing it');
    await importFolder(folder, image, {
      ...imageLabels('base'),
      'cellhouse.base.made-by': 'debootstrap',
      'cellhouse.base.from': `${mirror} ${suite}`,
    });
  } finally {
    remove(folder);
  }
}

function slim(folder, sources) {
  const emptied = ['usr/share/doc', 'usr/share/info', 'usr/share/man', 'usr/share/locale'];
  // The copyright file of each package stays.
  const keep = (file) => /^usr\/share\/doc\/[^/]+\/copyright$/.test(file);
  for (const place of emptied) removeFiles(folder, place, keep);
  for (const place of ['var/cache/apt', 'var/lib/apt/lists', 'var/log']) {
    rmSync(join(folder, place), { recursive: true, force: true });
    mkdirSync(join(folder, place), { recursive: true });
  }
  writeFileSync(join(folder, 'etc/dpkg/dpkg.cfg.d/slim'), `${DPKG_EXCLUDES.join('\n')}\n`);
  rmSync(join(folder, 'etc/apt/sources.list'), { force: true });
  writeFileSync(join(folder, 'etc/apt/sources.list.d/debian.sources'), sources);
  // These two hold the machine's own settings. Containers get their own.
  for (const file of ['etc/resolv.conf', 'etc/hostname'])
    rmSync(join(folder, file), { force: true });
}

function removeFiles(root, place, keep) {
  for (const entry of readdirSync(join(root, place), { withFileTypes: true })) {
    const path = join(place, entry.name);
    if (entry.isDirectory()) removeFiles(root, path, keep);
    else if (!keep(path)) rmSync(join(root, path));
  }
}

/** Imports the folder as an image. It is a root file system, so owners and device files are kept. */
async function importFolder(folder, image, labels) {
  const tar = spawn('tar', ['--create', '--numeric-owner', `--directory=${folder}`, '.'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  tar.on('exit', (code) => {
    if (code !== 0) tar.stdout.destroy(new Error(`tar ended with ${code}`));
  });
  const [repo, tag] = image.split(':');
  const query = new URLSearchParams({ fromSrc: '-', repo, tag });
  for (const [name, value] of Object.entries(labels)) {
    query.append('changes', `LABEL ${name}="${value}"`);
  }
  query.append('changes', 'CMD ["bash"]');
  await runTask({ path: `/images/create?${query}`, body: tar.stdout });
}

/** Removes what killed set-ups have left. */
function removeAbandoned() {
  for (const name of readdirSync(WORK_FOLDER)) {
    const pid = name.startsWith(PREFIX) ? name.slice(PREFIX.length) : '';
    if (/^\d+$/.test(pid) && !existsSync(`/proc/${pid}`)) remove(join(WORK_FOLDER, name));
  }
}

/** Unmounts everything below the folder first: a killed debootstrap leaves /proc mounted there. */
function remove(folder) {
  const mounts = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
    .filter((place) => place.startsWith(`${folder}/`));
  for (const place of mounts.reverse()) execFileSync('umount', [place]);
  rmSync(folder, { recursive: true, force: true });
}
