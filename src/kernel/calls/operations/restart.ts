import { z } from 'zod';
import { operation } from '../operation.ts';

/** A kernel that is not forked takes some seconds to start on a busy machine. */
const RESTART_TIMEOUT_MS = 30_000;

interface Restart {
  /** A request with the same id makes only one kernel, however often it is sent. */
  readonly requestId: string;
}

/** Replaces the kernel. The agent answers when the new kernel is ready. */
export const restart = operation({
  method: 'POST',
  timeoutMs: RESTART_TIMEOUT_MS,
  request: ({ requestId }: Restart) => ({ request_id: requestId }),
  answer: z
    .object({ kernel_generation: z.number() })
    .transform(({ kernel_generation: kernelGeneration }) => ({ kernelGeneration })),
});
