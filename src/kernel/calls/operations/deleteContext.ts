import { z } from 'zod';
import { KERNEL_TIMEOUT_MS, operation } from '../operation.ts';

interface DeleteContext {
  readonly contextId: string;
  /** A request with the same id is carried out only once, however often it is sent. */
  readonly requestId: string;
}

/** Ends a context for ever. The agent answers when all its processes have ended. */
export const deleteContext = operation({
  method: 'POST',
  timeoutMs: KERNEL_TIMEOUT_MS,
  request: ({ contextId, requestId }: DeleteContext) => ({
    context_id: contextId,
    request_id: requestId,
  }),
  /** False: the agent had no such context, and sends no further message about it. */
  answer: z.object({ deleted: z.boolean() }),
});
