/** The worker image to measure. @throws Error if WORKER_IMAGE is not set, which `npm run bench` does */
export function workerImage(): string {
  const image = process.env.WORKER_IMAGE;
  if (!image) throw new Error('WORKER_IMAGE is not set. npm run bench sets it.');
  return image;
}
