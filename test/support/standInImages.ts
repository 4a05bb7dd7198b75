/**
 * Stand-ins for those images named in the Dockerfile and docker-compose.yml that are neither present nor can be pulled.
 * They are built on the base image, laid out like the real ones, and removed afterwards.
 */
import { execFile } from 'node:child_process';
import { copyFileSync, cpSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { BASE_IMAGE } from '../../scripts/setup/baseImage.mjs';
import { ensureNode24 } from '../../scripts/testing/node24.mjs';

const run = promisify(execFile);
/** As long as npm start waits for an image registry, and time for the download. */
const PULL_TIMEOUT_MS = 120_000;
const BUILD_TIMEOUT_MS = 300_000;
const SOURCES = new URL('./standIns/', import.meta.url).pathname;

const NODE_IMAGE = 'node:24-trixie-slim';
const POSTGRES_IMAGE = 'postgres:18';

/** Makes stand-ins for missing images. Resolves with a function that removes them. */
export async function provideImages(): Promise<() => Promise<void>> {
  const made: string[] = [];
  if (!(await canBeHad(NODE_IMAGE))) made.push(await build(NODE_IMAGE, 'node', addNode));
  if (!(await canBeHad(POSTGRES_IMAGE)))
    made.push(await build(POSTGRES_IMAGE, 'postgres', addEntrypoint));
  return async () => {
    for (const image of made) await run('docker', ['image', 'rm', image]);
  };
}

/**
 * Whether the image is present or can be pulled. A stand-in that a killed run has left does not count: it is built
 * again, quickly, from the engine's cache.
 */
async function canBeHad(image: string): Promise<boolean> {
  const isStandIn = '{{index .Config.Labels "cellhouse.stand-in"}}';
  const found = await run('docker', ['image', 'inspect', '--format', isStandIn, image]).catch(
    () => null,
  );
  if (found !== null) return ['', '<no value>'].includes(found.stdout.trim());
  return await succeeds(['pull', '--quiet', image]);
}

function succeeds(args: string[]): Promise<boolean> {
  return run('docker', args, { timeout: PULL_TIMEOUT_MS }).then(
    () => true,
    () => false,
  );
}

async function build(
  image: string,
  kind: string,
  fill: (context: string) => void | Promise<void>,
): Promise<string> {
  const context = mkdtempSync(join(tmpdir(), 'cellhouse-stand-in-'));
  try {
    copyFileSync(join(SOURCES, `${kind}.Dockerfile`), join(context, 'Dockerfile'));
    await fill(context);
    const args = [
      'build',
      '--quiet',
      '--tag',
      image,
      '--build-arg',
      `BASE_IMAGE=${BASE_IMAGE}`,
      context,
    ];
    // Docker's classic builder: BuildKit needs a plug-in that is a separate package in Debian.
    const env = { ...process.env, DOCKER_BUILDKIT: '0' };
    await run('docker', args, { timeout: BUILD_TIMEOUT_MS, env });
    return image;
  } finally {
    rmSync(context, { recursive: true });
  }
}

async function addNode(context: string): Promise<void> {
  copyFileSync(await ensureNode24(), join(context, 'node'));
  cpSync(npmFolder(), join(context, 'npm'), { recursive: true });
  copyFileSync('/etc/ssl/certs/ca-certificates.crt', join(context, 'ca-certificates.crt'));
}

/** The package of npm on this machine. npm passes its path to its child processes. Otherwise it is beside Node. */
export function npmFolder(): string {
  const program = process.env.npm_execpath ?? join(dirname(process.execPath), 'npm');
  return dirname(dirname(realpathSync(program)));
}

function addEntrypoint(context: string): void {
  copyFileSync(join(SOURCES, 'postgres-entrypoint.sh'), join(context, 'postgres-entrypoint.sh'));
}
