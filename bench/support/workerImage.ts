/** The image to measure. @throws Error without WORKER_IMAGE, which `npm run bench` sets */
export function workerImage(): string {
  const image = process.env.WORKER_IMAGE;
  if (!image) throw new Error('WORKER_IMAGE is not set. npm run bench sets it.');
  return image;
}
