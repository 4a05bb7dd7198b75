import { refusalCode } from '../../kernel/channel/kernelErrors.ts';

/** The codes of refusals that may be temporary. Null: the agent did not answer, or gave no code. */
const PASSING_CODES: ReadonlySet<string | null> = new Set([
  null,
  'internal',
  'busy',
  'unavailable',
  'timed_out',
]);

/** Whether creating a context may succeed if the agent is asked again. False: no kernel can be started for it now. */
export function mayPass(error: unknown): boolean {
  return PASSING_CODES.has(refusalCode(error));
}
