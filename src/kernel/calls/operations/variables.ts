import { z } from 'zod';
import { operation, QUICK_TIMEOUT_MS } from '../operation.ts';

interface Variables {
  readonly variables: Readonly<Record<string, string>>;
}

/**
 * Sets the environment variables of the session. Kernels have them before they run any code that is sent after the
 * answer. Every later kernel has them, too. Repeating the call changes nothing.
 */
export const variables = operation({
  method: 'POST',
  timeoutMs: QUICK_TIMEOUT_MS,
  request: ({ variables }: Variables) => ({ variables }),
  answer: z.object({ count: z.number() }),
});
