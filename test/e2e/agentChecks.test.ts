/** The agent's own checks (black, flake8, mypy, its unit tests on a real kernel), run where it runs: in the worker image. */

import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import Docker from 'dockerode';
import { expect, it } from 'vitest';
import { builtImage } from '../support/builtImage.ts';

/** Installs the checkers the first time; afterwards the builder's cache answers. */
const BUILD_TIMEOUT_MS = 300_000;
const TAG = 'cellhouse-test-agent';

it(
  'is formatted, linted, typed and tested',
  async () => {
    const { WORKER_IMAGE } = process.env;
    if (!WORKER_IMAGE)
      throw new Error('WORKER_IMAGE is not set. npm test builds the image and sets it.');
    const docker = new Docker();
    const context = new URL('../../worker-image', import.meta.url).pathname;
    const build = await docker.buildImage(
      { context, src: ['check.Dockerfile', 'agent'] },
      { t: TAG, dockerfile: 'check.Dockerfile', buildargs: { WORKER_IMAGE } },
    );
    await builtImage(docker, build);
    const output = new PassThrough();
    const report = text(output);
    // A terminal, so that what it prints is not framed.
    await docker.run(TAG, [], output, {
      Tty: true,
      Entrypoint: ['cat', '/report.txt'],
      HostConfig: { AutoRemove: true },
    });
    output.end();
    expect(await report).toMatch(/Ran [1-9]\d* tests[\s\S]*\nOK/);
  },
  BUILD_TIMEOUT_MS,
);
