/** docs/run/environments.md lists what the worker image has. `npm run image-page` lets this test write the list. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { workerImage } from '../../testkit/workerImage.ts';
import { withContents } from '../support/imagePage.ts';

const PAGE = new URL('../../docs/run/environments.md', import.meta.url).pathname;

it('the page on the worker image has the packages, versions and programs of the image', async () => {
  const WORKER_IMAGE = workerImage();
  const made = await withContents(readFileSync(PAGE, 'utf8'), WORKER_IMAGE);
  await expect(made, 'npm run image-page makes the page anew').toMatchFileSnapshot(PAGE);
});
