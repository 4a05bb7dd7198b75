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
      /** What it can do beyond the first release. Older agents do not send it. */
      features: z.array(z.string()).default([]),
    })
    .transform(({ boot_id: bootId, kernel, features }) => ({ bootId, kernel, features })),
});
