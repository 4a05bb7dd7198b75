import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
/** Frees what nothing holds, as Node does when it likes. */
export const collectGarbage = runInNewContext('gc') as () => void;

/** What the heap and the buffers outside it hold once everything that can be freed is, in bytes. */
export function liveBytes(): number {
  collectGarbage();
  collectGarbage();
  const { heapUsed, external, arrayBuffers } = process.memoryUsage();
  return heapUsed + external + arrayBuffers;
}
