import { refuse } from './body.ts';

const MS = 1_000;

export interface SecondsRange {
  readonly minSeconds: number;
  readonly maxMs: number;
  /** What stands for an absent value. */
  readonly defaultSeconds?: number;
}

/** Seconds of a request, in milliseconds. @throws BAD_USER_INPUT */
export function msOf(
  name: string,
  value: number | null | undefined,
  { minSeconds, maxMs, defaultSeconds }: SecondsRange,
): number {
  const maxSeconds = Math.floor(maxMs / MS);
  // A server whose sandboxes live shorter than that gives them as long as it can.
  const seconds = value ?? (defaultSeconds && Math.min(defaultSeconds, maxSeconds));
  if (seconds === undefined) return refuse(`${name} must be a whole number of seconds.`);
  if (seconds < minSeconds || seconds > maxSeconds)
    return refuse(
      `${name} is ${seconds} seconds, but must be from ${minSeconds} to ${maxSeconds}.`,
    );
  return seconds * MS;
}
