import type { CallRecord } from '../history.ts';
import { callsWithin, type Facts } from './facts.ts';

/** Whether a context was open during the whole of a call, so that the call cannot have been refused for it. */
export function wasOpen(
  facts: Facts,
  contextId: string,
  { user, startedAt, endedAt }: CallRecord,
): boolean {
  const context = facts.contexts.find(({ id }) => id === contextId);
  const [end] = context?.ends ?? [];
  if (!context || context.user !== user || (end && end.at <= endedAt)) return false;
  // It is closed from the request to delete it.
  return !callsWithin(facts, user, ['deleteContext'], [startedAt, endedAt]).some(
    (call) => call.contextId === contextId,
  );
}
