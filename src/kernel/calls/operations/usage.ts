import { z } from 'zod';
import { type NoInput, operation, QUICK_TIMEOUT_MS } from '../operation.ts';

/** Usage counters of the whole container since its start. */
export const usage = operation({
  method: 'GET',
  timeoutMs: QUICK_TIMEOUT_MS,
  request: (_: NoInput) => ({}),
  answer: z
    .object({
      cpu_ms: z.number(),
      memory_bytes: z.number(),
      memory_limit_bytes: z.number(),
      oom_kills: z.number(),
    })
    .transform((counters) => ({
      cpuMs: counters.cpu_ms,
      memoryBytes: counters.memory_bytes,
      memoryLimitBytes: counters.memory_limit_bytes,
      oomKills: counters.oom_kills,
    })),
});
