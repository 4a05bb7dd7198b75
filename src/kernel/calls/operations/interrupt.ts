import { z } from 'zod';
import type { InterruptSignal } from '../../../domain/execution.ts';
import { operation, QUICK_TIMEOUT_MS } from '../operation.ts';

interface Interrupt {
  readonly msgId: string;
  /** A request with the same id interrupts only once, however often it is sent. */
  readonly requestId: string;
  /** The signal for a command. Left out: SIGINT. An agent without the feature `processes` ignores this field. */
  readonly signal?: InterruptSignal;
}

/** Interrupts one execution. The agent answers when it has delivered the signal. */
export const interrupt = operation({
  method: 'POST',
  timeoutMs: QUICK_TIMEOUT_MS,
  request: ({ msgId, requestId, signal }: Interrupt) => ({
    msg_id: msgId,
    request_id: requestId,
    ...(signal !== undefined && { signal }),
  }),
  answer: z.object({
    /** Whether this execution was running or queued at the agent. */
    interrupted: z.boolean(),
    /** False: the agent has never received the execution, and will not run it if it arrives later. */
    known: z.boolean(),
  }),
});
