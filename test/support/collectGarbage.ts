import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
/** Runs Node's garbage collector now. */
export const collectGarbage = runInNewContext('gc') as () => void;

/** The size of the heap and of the buffers outside it after garbage collection, in bytes. */
export function liveBytes(): number {
  collectGarbage();
  collectGarbage();
  const { heapUsed, external, arrayBuffers } = process.memoryUsage();
  return heapUsed + external + arrayBuffers;
}
