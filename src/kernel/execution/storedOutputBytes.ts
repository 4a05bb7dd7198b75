import type { Output } from '../../domain/output.ts';
import { BYTES_PER_ITEM, outputBytes, outputItems } from '../frames/outputBytes.ts';
import type { ExecutionProgress } from './executionProgress.ts';

/**
 * What the kept outputs of an execution count as stored: their content, and {@link BYTES_PER_ITEM} for each of them and
 * each value nested in it. Both are known without a look at what is stored.
 * @param last outputs that are not in the progress
 */
export function storedOutputBytes(
  { keptBytes, keptOutputs, lateInputRequests = 0 }: ExecutionProgress,
  last: readonly Output[] = [],
): number {
  const sizes = last.map((output) => outputBytes(output) + outputItems(output) * BYTES_PER_ITEM);
  const kept = keptBytes + (keptOutputs + lateInputRequests) * BYTES_PER_ITEM;
  return sizes.reduce((sum, size) => sum + size, kept);
}
