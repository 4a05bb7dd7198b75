import { z } from 'zod';
import { operation, QUICK_TIMEOUT_MS } from '../operation.ts';

interface Interrupt {
  readonly msgId: string;
  /** A request with the same id interrupts only once, however often it is sent. */
  readonly requestId: string;
}

/** Interrupts one execution. The agent answers when it has delivered the signal. */
export const interrupt = operation({
  method: 'POST',
  timeoutMs: QUICK_TIMEOUT_MS,
  request: ({ msgId, requestId }: Interrupt) => ({ msg_id: msgId, request_id: requestId }),
  answer: z.object({
    /** Whether this execution was running or queued at the agent. */
    interrupted: z.boolean(),
    /**
     * False: the agent has never received the execution, and will not run it if it arrives later. Agents older than
     * this field do not send it. A missing field counts as `true`, since nothing can be concluded from it.
     */
    known: z.boolean().default(true),
  }),
});
