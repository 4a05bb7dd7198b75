import type { InputRequest } from '../../domain/output.ts';
import { cutText } from '../frames/errorFacts.ts';

/** The agent has the same limits (cellhouse_agent/record.py). */
const MAX_LATE_INPUT_REQUESTS = 1_000;
const MAX_LATE_PROMPT_CHARS = 100;

/**
 * What is kept of a request for input for which the output limit has no room: code that asks waits, so somebody must
 * hear of it. Null: it is one too many. The last one counts as a request for a password, because whoever answers a later
 * one, of which nobody hears, may be answering a password.
 * @param count how many were kept so before
 */
export function lateInputRequest(
  { kind, prompt, password }: InputRequest,
  count: number,
): InputRequest | null {
  if (count >= MAX_LATE_INPUT_REQUESTS) return null;
  const isLast = count + 1 === MAX_LATE_INPUT_REQUESTS;
  return { kind, prompt: cutText(prompt, MAX_LATE_PROMPT_CHARS), password: password || isLast };
}
