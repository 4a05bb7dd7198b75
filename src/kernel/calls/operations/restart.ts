import { z } from 'zod';
import { operation } from '../operation.ts';

/** A fresh kernel made the slow way takes some seconds on a busy machine. */
const RESTART_TIMEOUT_MS = 30_000;

interface Restart {
  /** The same one makes one kernel, however often it is sent. */
  readonly requestId: string;
}

/** Replaces the kernel. Answered when the fresh one is ready. */
export const restart = operation({
  method: 'POST',
  timeoutMs: RESTART_TIMEOUT_MS,
  request: ({ requestId }: Restart) => ({ request_id: requestId }),
  answer: z
    .object({ kernel_generation: z.number() })
    .transform(({ kernel_generation: kernelGeneration }) => ({ kernelGeneration })),
});
