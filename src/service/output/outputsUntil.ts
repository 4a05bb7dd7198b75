import { onAbort } from '../../async/onAbort.ts';
import type { ExecutionId } from '../../domain/ids.ts';
import type { OutputItem } from '../../domain/output.ts';
import type { TokenEnd } from '../access/tokenEnd.ts';
import { type FollowDeps, followOutput } from './followOutput.ts';

export interface OutputReader {
  /** The end of the reader's token. */
  readonly tokenEnd: TokenEnd;
  /** Aborted when the reader goes. */
  readonly gone: AbortSignal;
}

/** All outputs of an execution, until the last one or until the reader goes. The finish is not among them. */
export async function* outputsUntil(
  deps: FollowDeps,
  executionId: ExecutionId,
  { tokenEnd, gone }: OutputReader,
): AsyncGenerator<OutputItem> {
  const items = followOutput(deps, executionId, 0, tokenEnd);
  const off = onAbort(gone, () => void items.return?.());
  try {
    for await (const item of items) if (item.output.kind !== 'finish') yield item;
  } finally {
    off();
  }
}
