import { pruneImages } from '../setup/pruneImages.mjs';
import { setUp, setUpCode } from '../setup/setUp.mjs';
import { ensureTestTools } from '../setup/testTools.mjs';

/**
 * The set-up of `npm start` and what only tests need. Tests find the image of workers in WORKER_IMAGE.
 * @param {Iterable<string>} parts only the unit tests do without an engine
 */
export async function prepareFor(parts) {
  if ([...parts].every((part) => part === 'unit')) return await setUpCode();
  const { workerImage } = await setUp();
  await ensureTestTools();
  await pruneImages();
  process.env.WORKER_IMAGE = workerImage;
}
