import { z } from 'zod';
import { operation, QUICK_TIMEOUT_MS } from '../operation.ts';

interface Variables {
  readonly variables: Readonly<Record<string, string>>;
}

/**
 * Sets environment variables in the kernel, before the code that is sent next, and in every kernel after it. Repeating
 * the call changes nothing.
 */
export const variables = operation({
  method: 'POST',
  timeoutMs: QUICK_TIMEOUT_MS,
  request: ({ variables }: Variables) => ({ variables }),
  answer: z.object({ count: z.number() }),
});
