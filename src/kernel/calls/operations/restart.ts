import { z } from 'zod';
import { KERNEL_TIMEOUT_MS, operation } from '../operation.ts';

interface Restart {
  /** A request with the same id makes only one kernel, however often it is sent. */
  readonly requestId: string;
  /** Left out: the default context. */
  readonly contextId?: string;
}

/** Replaces the kernel of a context. The agent answers when the new kernel is ready. */
export const restart = operation({
  method: 'POST',
  timeoutMs: KERNEL_TIMEOUT_MS,
  request: ({ requestId, contextId }: Restart) => ({
    request_id: requestId,
    ...(contextId !== undefined && { context_id: contextId }),
  }),
  answer: z
    .object({ kernel_generation: z.number() })
    .transform(({ kernel_generation: kernelGeneration }) => ({ kernelGeneration })),
});
