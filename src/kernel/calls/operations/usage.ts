import { z } from 'zod';
import { type NoInput, operation, QUICK_TIMEOUT_MS } from '../operation.ts';

/** Usage counters of the whole container since its start, and what its memory and its disks hold now. */
export const usage = operation({
  method: 'GET',
  timeoutMs: QUICK_TIMEOUT_MS,
  request: (_: NoInput) => ({}),
  answer: z
    .object({
      clock_ms: z.number(),
      cpu_ms: z.number(),
      memory_bytes: z.number(),
      memory_limit_bytes: z.number(),
      cache_bytes: z.number(),
      disk_bytes: z.number(),
      disk_limit_bytes: z.number(),
      oom_kills: z.number(),
    })
    .transform((counters) => ({
      /** The time of a monotonic clock. Two answers show how much CPU time was used in the time between them. */
      clockMs: counters.clock_ms,
      cpuMs: counters.cpu_ms,
      memoryBytes: counters.memory_bytes,
      memoryLimitBytes: counters.memory_limit_bytes,
      /** File cache that could be reclaimed. It is not part of the memory in use. */
      cacheBytes: counters.cache_bytes,
      diskBytes: counters.disk_bytes,
      diskLimitBytes: counters.disk_limit_bytes,
      oomKills: counters.oom_kills,
    })),
});
