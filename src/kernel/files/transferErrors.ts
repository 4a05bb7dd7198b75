/** Why a transfer between gateway and agent ends before its end, and the limits behind it. */

/**
 * The longest time in which nothing moves on the connection. Longer than the agent's own limits, whose answers say
 * more: it gives up a silent transfer after 60 s and an operation after 120 s.
 */
export const SILENCE_MS = 150_000;
/** An entry travels in a header, with a path of up to 4 KiB of which each byte may be escaped. */
export const MAX_HEADER_BYTES = 131_072;

/** Nothing moved for the time of silence: the worker, or whoever reads or writes on our side, has stopped. */
export class SilenceError extends Error {
  constructor() {
    super(`Nothing moved between gateway and worker for ${SILENCE_MS} ms.`);
    this.name = 'SilenceError';
  }
}

/** The body has another length than was announced. The agent would wait for the rest, or never see it. */
export class LengthError extends Error {
  constructor() {
    super('The body is longer or shorter than announced.');
    this.name = 'LengthError';
  }
}

/** The reason of an abort, as an error. */
export function abortError(signal: AbortSignal | undefined): Error {
  return signal?.reason instanceof Error ? signal.reason : new Error('The transfer was aborted.');
}
