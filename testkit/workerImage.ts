/** The environment variable with the light image's name. test/support/provideLightImage.ts sets it. */
export const LIGHT_IMAGE_VARIABLE = 'CELLHOUSE_TEST_LIGHT_IMAGE';

/** The worker image. @throws Error if WORKER_IMAGE is not set */
export function workerImage(): string {
  const image = process.env.WORKER_IMAGE;
  if (!image)
    throw new Error('WORKER_IMAGE is not set. npm test, npm run bench and npm run chaos set it.');
  return image;
}

/**
 * The image for workers that need not preload numpy, pandas and matplotlib. Their code can still import these
 * libraries. Preloading them is half of the cost of starting a worker. If no light image was prepared, this is the
 * worker image.
 */
export function lightWorkerImage(): string {
  return process.env[LIGHT_IMAGE_VARIABLE] ?? workerImage();
}
