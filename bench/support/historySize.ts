/** The size of a generated history. */

/** The events of a session and its worker: 6 of the worker, 4 of the session. */
export const EVENTS_PER_SESSION = 10;
export const EVENTS_PER_EXECUTION = 3;
/** How many executions a user typically runs in one session. */
const USUAL_EXECUTIONS_PER_SESSION = 30;

export interface HistorySize {
  readonly events: number;
  readonly executions: number;
}

/** A history with this many executions and a typical number of sessions. */
export function usualHistory(executions: number): HistorySize {
  const sessions = Math.ceil(executions / USUAL_EXECUTIONS_PER_SESSION);
  return {
    executions,
    events: executions * EVENTS_PER_EXECUTION + sessions * EVENTS_PER_SESSION,
  };
}

/** A history with this many events and a typical share of executions. */
export function usualHistoryOf(events: number): HistorySize {
  const sessions = Math.ceil(
    events / (EVENTS_PER_SESSION + EVENTS_PER_EXECUTION * USUAL_EXECUTIONS_PER_SESSION),
  );
  const left = events - sessions * EVENTS_PER_SESSION;
  return { events, executions: Math.max(0, Math.floor(left / EVENTS_PER_EXECUTION)) };
}
