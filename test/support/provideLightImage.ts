/** Makes the image that tests take for most of their workers (testkit/workerImage.ts). */
import Docker from 'dockerode';
import { ensureImageOn } from '../../testkit/testImage.ts';
import { LIGHT_IMAGE_VARIABLE, workerImage } from '../../testkit/workerImage.ts';
import { isLong } from '../extent.ts';

/** The first project of a run makes the image for all. In `npm run test:long`, all workers have the image of users. */
export default async function provideLightImage(): Promise<void> {
  if (isLong || process.env[LIGHT_IMAGE_VARIABLE] !== undefined) return;
  // Without WORKER_IMAGE, only tests without workers can run. The others name the missing variable.
  if (!process.env.WORKER_IMAGE) return;
  process.env[LIGHT_IMAGE_VARIABLE] = await ensureImageOn(new Docker(), workerImage(), {
    name: 'light',
    step: 'COPY libraries.txt /usr/share/cellhouse/',
    files: { 'libraries.txt': '' },
  });
}
