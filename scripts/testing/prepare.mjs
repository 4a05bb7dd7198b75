import { pruneImages } from '../setup/pruneImages.mjs';
import { setUp, setUpCode } from '../setup/setUp.mjs';
import { ensureTestTools } from '../setup/testTools.mjs';
import { ensureDebianPrograms } from './debianPrograms.mjs';

/**
 * Does the set-up of `npm start`, and installs what only tests need. Tests find the worker image's name in
 * WORKER_IMAGE.
 * @param {Iterable<string>} parts the parts that will run. Only the unit tests do not need an engine
 */
export async function prepareFor(parts) {
  if ([...parts].every((part) => part === 'unit')) return await setUpCode();
  const { workerImage } = await setUp();
  await ensureTestTools();
  await ensureDebianPrograms();
  await pruneImages();
  process.env.WORKER_IMAGE = workerImage;
}
