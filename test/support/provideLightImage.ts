/** Makes the image that tests take for most of their workers (testkit/workerImage.ts). */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Docker from 'dockerode';
import { ensureTestImage } from '../../testkit/testImage.ts';
import { LIGHT_IMAGE_VARIABLE, workerImage } from '../../testkit/workerImage.ts';
import { isLong } from '../extent.ts';

/** The first project of a run makes it for all. `npm run test:long` takes the image that users have for everything. */
export default async function provideLightImage(): Promise<void> {
  if (isLong || process.env[LIGHT_IMAGE_VARIABLE] !== undefined) return;
  // Then tests without workers run, and others say what they miss.
  if (!process.env.WORKER_IMAGE) return;
  const docker = new Docker();
  const base = (await docker.getImage(workerImage()).inspect()).Id;
  const dockerfile = `FROM ${base}\nLABEL cellhouse.image=test\nCOPY libraries.txt /usr/share/cellhouse/\n`;
  const context = mkdtempSync(join(tmpdir(), 'cellhouse-light-'));
  try {
    writeFileSync(join(context, 'Dockerfile'), dockerfile);
    writeFileSync(join(context, 'libraries.txt'), '');
    process.env[LIGHT_IMAGE_VARIABLE] = await ensureTestImage(docker, {
      name: 'light',
      madeOf: dockerfile,
      context: { context, src: ['Dockerfile', 'libraries.txt'] },
    });
  } finally {
    rmSync(context, { recursive: true });
  }
}
