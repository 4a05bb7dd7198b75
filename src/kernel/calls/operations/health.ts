import { z } from 'zod';
import { type NoInput, operation, QUICK_TIMEOUT_MS } from '../operation.ts';

/** Whether the agent is alive, and the state of its kernel. */
export const health = operation({
  method: 'GET',
  timeoutMs: QUICK_TIMEOUT_MS,
  request: (_: NoInput) => ({}),
  answer: z
    .object({
      status: z.literal('ok'),
      boot_id: z.string(),
      kernel: z.enum(['idle', 'busy', 'restarting']),
    })
    .transform(({ boot_id: bootId, kernel }) => ({ bootId, kernel })),
});
