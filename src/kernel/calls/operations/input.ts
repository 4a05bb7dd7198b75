import { z } from 'zod';
import { operation } from '../operation.ts';

/** The agent holds its answer for up to 2 s while the execution has no room. */
const INPUT_TIMEOUT_MS = 10_000;
/** The most input that the agent takes in one call. */
export const MAX_CALL_INPUT_BYTES = 32_768;

interface Input {
  readonly msgId: string;
  /** The position of the first byte in the execution's input. The agent skips bytes that it already has. */
  readonly offset: number;
  readonly bytes: Buffer;
  /** Whether the input ends with these bytes. */
  readonly close: boolean;
}

/** Hands input to an execution that has begun. Repeating the call changes nothing. */
export const input = operation({
  method: 'POST',
  timeoutMs: INPUT_TIMEOUT_MS,
  request: ({ msgId, offset, bytes, close }: Input) => ({
    msg_id: msgId,
    offset,
    base64: bytes.toString('base64'),
    close,
  }),
  answer: z.object({
    /** False: the execution has ended, or has not reached the agent. */
    known: z.boolean(),
    /**
     * How many bytes of this execution's input the agent has taken in total. It may take only some of the bytes sent.
     */
    accepted: z.number(),
    /** Whether the agent has taken the end of the input. */
    closed: z.boolean(),
  }),
});
