/** What the engine's failures mean. */
import { setTimeout as delay } from 'node:timers/promises';
import { hasCode, messageOf } from '../errors.ts';
import { RuntimeError } from './runtime.ts';

/** The socket is not there, nobody listens on it, or whoever did is gone in the middle of a call. */
const AWAY_CODES = ['ENOENT', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT'];

/**
 * The engine's answer to a call.
 * @throws RuntimeError where the kind of failure is known, `engine-away` also after `limitMs`
 */
export async function engineCall<T>(limitMs: number, call: Promise<T>): Promise<T> {
  const answered = new AbortController();
  const expired = delay(limitMs, undefined, { signal: answered.signal, ref: false }).then(() => {
    throw new RuntimeError('engine-away', `The Docker engine has not answered for ${limitMs} ms.`);
  });
  try {
    return await Promise.race([call, expired]);
  } catch (error: unknown) {
    throw runtimeError(error);
  } finally {
    expired.catch(() => undefined);
    answered.abort();
  }
}

/** The same error, as a {@link RuntimeError} if its kind is known. */
export function runtimeError(error: unknown): unknown {
  if (error instanceof RuntimeError) return error;
  const message = messageOf(error);
  const options = { cause: error };
  if (statusOf(error) === null && AWAY_CODES.some((code) => hasCode(error, code))) {
    return new RuntimeError(
      'engine-away',
      `The Docker engine does not answer (${message}).`,
      options,
    );
  }
  if (/no space left on device/i.test(message) || hasCode(error, 'EDQUOT')) {
    return new RuntimeError('disk-full', `The disk is full (${message}).`, options);
  }
  if (statusOf(error) === 404 && /no such image/i.test(message)) {
    return new RuntimeError('image-missing', message, options);
  }
  return error;
}

/** Of the engine's answer; null: there was none. */
export function statusOf(error: unknown): number | null {
  return error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number'
    ? error.statusCode
    : null;
}
