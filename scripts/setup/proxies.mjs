import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { aptInstall } from './aptInstall.mjs';
import { findProgram } from './findProgram.mjs';
import { projectRoot } from './projectRoot.mjs';
import { runCommand } from './runCommand.mjs';
import { SetupError } from './setupError.mjs';
import { detail, step } from './steps.mjs';

const PACKAGES = ['nginx', 'nginx-common', 'caddy'];

/** Debian's nginx and Caddy are unpacked here, below node_modules, which git ignores. */
const FOLDER = join(projectRoot, 'node_modules/.cache/cellhouse-proxies');

/**
 * Unpacks Debian's nginx and Caddy for the tests. They are not installed: an installation would start their services,
 * which take ports 80 and 443 of this machine. Does nothing if they are there already.
 */
export async function ensureProxies() {
  // It makes the certificates.
  if (findProgram('openssl') === null) await aptInstall(['openssl'], 'openssl, for the tests');
  if (existsSync(FOLDER)) return;
  if (findProgram('apt-get') === null) {
    throw new SetupError(
      'This machine has no apt-get to download nginx and Caddy with, for the tests.',
    );
  }
  await step('Unpacking nginx and Caddy, for the tests', async () => {
    mkdirSync(join(FOLDER, '..'), { recursive: true });
    const part = mkdtempSync(`${FOLDER}-`);
    const root = join(part, 'root');
    const advice = 'As root, run `apt-get update` until it works, then start again.';
    if (process.getuid() === 0) await runCommand('apt-get', ['update', '-qq'], { advice });
    detail(`apt-get download ${PACKAGES.join(' ')}`);
    await runCommand('apt-get', ['download', '-qq', ...PACKAGES], { cwd: part, advice });
    for (const file of readdirSync(part)) await runCommand('dpkg', ['-x', join(part, file), root]);
    // Complete or not there at all, even if this is interrupted.
    renameSync(root, FOLDER);
    rmSync(part, { recursive: true });
  });
}
