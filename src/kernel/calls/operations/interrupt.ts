import { z } from 'zod';
import { operation, QUICK_TIMEOUT_MS } from '../operation.ts';

interface Interrupt {
  readonly msgId: string;
  /** The same one interrupts once, however often it is sent. */
  readonly requestId: string;
}

/** Interrupts one execution. Answered when the signal is delivered. */
export const interrupt = operation({
  method: 'POST',
  timeoutMs: QUICK_TIMEOUT_MS,
  request: ({ msgId, requestId }: Interrupt) => ({ msg_id: msgId, request_id: requestId }),
  answer: z.object({
    /** This very execution was running or queued at the agent. */
    interrupted: z.boolean(),
    /**
     * False: the agent never got that execution, and will not run it if it still does. An agent of before `known` does not
     * tell: then nothing may be concluded from its silence.
     */
    known: z.boolean().default(true),
  }),
});
