import type { InputRequest } from '../../domain/output.ts';
import { cutText } from '../frames/errorFacts.ts';

/** The agent has the same limits (cellhouse_agent/record.py). */
const MAX_LATE_INPUT_REQUESTS = 1_000;
const MAX_LATE_PROMPT_CHARS = 100;

/**
 * Shortens a request for input that exceeds the output limit. Such a request is kept, because the code waits for an
 * answer. Null: the maximum number of these requests is reached, so this one is dropped. The last kept request counts
 * as a request for a password. Later requests are not reported, and an answer to one of them may be a password.
 * @param count how many requests were kept in this way before
 */
export function lateInputRequest(
  { kind, prompt, password }: InputRequest,
  count: number,
): InputRequest | null {
  if (count >= MAX_LATE_INPUT_REQUESTS) return null;
  const isLast = count + 1 === MAX_LATE_INPUT_REQUESTS;
  return { kind, prompt: cutText(prompt, MAX_LATE_PROMPT_CHARS), password: password || isLast };
}
