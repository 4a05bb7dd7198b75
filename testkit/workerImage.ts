/** Names the variable that the set-up of test/e2e gives to its processes (test/support/provideLightImage.ts). */
export const LIGHT_IMAGE_VARIABLE = 'CELLHOUSE_TEST_LIGHT_IMAGE';

/** The worker image. @throws Error if WORKER_IMAGE is not set */
export function workerImage(): string {
  const image = process.env.WORKER_IMAGE;
  if (!image)
    throw new Error('WORKER_IMAGE is not set. npm test, npm run bench and npm run chaos set it.');
  return image;
}

/**
 * The image for workers whose kernels need not have numpy, pandas and matplotlib before their code imports them. To
 * import these takes half of what the start of a worker costs. It is the worker image where no other one was prepared.
 */
export function lightWorkerImage(): string {
  return process.env[LIGHT_IMAGE_VARIABLE] ?? workerImage();
}
