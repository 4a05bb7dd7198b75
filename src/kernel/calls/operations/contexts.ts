import { z } from 'zod';
import { KERNEL_TIMEOUT_MS, operation } from '../operation.ts';

interface MakeContext {
  readonly contextId: string;
  /** The absolute path of the folder in which the context's kernels start. Null: the home folder. */
  readonly workingDirectory: string | null;
}

/** Creates a context, unless it exists. The agent answers when the context's kernel is ready. */
export const contexts = operation({
  method: 'POST',
  timeoutMs: KERNEL_TIMEOUT_MS,
  request: ({ contextId, workingDirectory }: MakeContext) => ({
    context_id: contextId,
    working_directory: workingDirectory,
  }),
  answer: z
    .object({ kernel_generation: z.number() })
    .transform(({ kernel_generation: kernelGeneration }) => ({ kernelGeneration })),
});
