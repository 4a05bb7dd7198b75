/** The agent's own checks and unit tests (Python), inside the very image that it ships in. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

/** Debian's checkers are installed the first time; afterwards Docker knows the answer to unchanged inputs. */
const BUILD_TIMEOUT_MS = 300_000;

it(
  'passes its format, lint and type checks and its unit tests',
  async () => {
    const workerImage = process.env.WORKER_IMAGE;
    if (!workerImage) throw new Error('WORKER_IMAGE is not set. npm test sets it.');
    const file = [
      '--file',
      'worker-image/check.Dockerfile',
      '--build-arg',
      `WORKER_IMAGE=${workerImage}`,
    ];
    // Docker's classic builder: BuildKit needs a plug-in that Debian packages apart.
    const env = { ...process.env, DOCKER_BUILDKIT: '0' };
    const tag = 'cellhouse-agent-check';
    const run = promisify(execFile);
    await run('docker', ['build', '--tag', tag, ...file, 'worker-image'], { env });
    const { stdout } = await run('docker', [
      'run',
      '--rm',
      '--network=none',
      '--entrypoint=cat',
      tag,
      '/report.txt',
    ]);
    expect(stdout).toMatch(/^Ran [1-9]\d* tests in .*\n\nOK/m);
  },
  BUILD_TIMEOUT_MS,
);
