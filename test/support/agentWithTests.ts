/** The image with the agent, its tests and its checkers. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import Docker from 'dockerode';
import { hashFiles } from '../../scripts/setup/hashFiles.mjs';
import { ensureTestImage } from '../../testkit/testImage.ts';
import { workerImage } from '../../testkit/workerImage.ts';
import { PYTHON_CACHE } from '../unchanged.ts';
import { SEED } from './seeded.ts';

/** The checks take minutes on an idle machine, and four times as long on a very busy one. This limit ends a hang. */
export const CHECKS_TIMEOUT_MS = 1_200_000;
const SOURCES = ['check.Dockerfile', 'agent'];
const MAX_REPORT_BYTES = 64 * 1_048_576;

/**
 * Builds the image, unless it exists.
 * @returns its name
 */
export async function agentWithTests(docker = new Docker()): Promise<string> {
  const WORKER_IMAGE = workerImage();
  const context = new URL('../../worker-image', import.meta.url).pathname;
  const { Id } = await docker.getImage(WORKER_IMAGE).inspect();
  return await ensureTestImage(docker, {
    name: 'agent-tests',
    madeOf: hashFiles(context, SOURCES, { salt: Id, skip: (path) => PYTHON_CACHE.test(path) }),
    context: { context, src: SOURCES },
    options: { dockerfile: 'check.Dockerfile', buildargs: { WORKER_IMAGE } },
  });
}

/**
 * Runs a shell command in a container of the image, which is removed afterwards, also if nobody waits for it any more.
 * @param binds folders of the machine, as `<from>:<to>:ro`
 * @returns what it printed, whether it succeeded or not
 */
export async function runInAgent(
  image: string,
  command: string,
  binds: readonly string[] = [],
): Promise<string> {
  const variables = ['--env=NO_COLOR=1', `--env=SEED=${SEED}`];
  const options = ['--rm', '--init', '--network=none', ...variables, '--entrypoint=timeout'];
  const limit = ['--kill-after=10', String(CHECKS_TIMEOUT_MS / 1_000)];
  const volumes = binds.map((bind) => `--volume=${bind}`);
  const args = ['run', ...options, ...volumes, image, ...limit, 'sh', '-c', `(${command}) 2>&1`];
  const ended = promisify(execFile)('docker', args, { maxBuffer: MAX_REPORT_BYTES });
  const { stdout, stderr } = await ended.catch(
    (error: { stdout: string; stderr: string }) => error,
  );
  return stdout + stderr;
}
