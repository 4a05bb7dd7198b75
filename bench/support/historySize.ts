/** How long a past is. */

/** A session with its worker: 6 events of the worker, 4 of the session. */
export const EVENTS_PER_SESSION = 10;
export const EVENTS_PER_EXECUTION = 3;
/** What somebody does with one kernel before it is released or left. */
const USUAL_EXECUTIONS_PER_SESSION = 30;

export interface HistorySize {
  readonly events: number;
  readonly executions: number;
}

/** With as many sessions as so many executions usually need. */
export function usualHistory(executions: number): HistorySize {
  const sessions = Math.ceil(executions / USUAL_EXECUTIONS_PER_SESSION);
  return {
    executions,
    events: executions * EVENTS_PER_EXECUTION + sessions * EVENTS_PER_SESSION,
  };
}

/** With about as many executions as a past of so many events usually has. */
export function usualHistoryOf(events: number): HistorySize {
  const sessions = Math.ceil(
    events / (EVENTS_PER_SESSION + EVENTS_PER_EXECUTION * USUAL_EXECUTIONS_PER_SESSION),
  );
  const left = events - sessions * EVENTS_PER_SESSION;
  return { events, executions: Math.max(0, Math.floor(left / EVENTS_PER_EXECUTION)) };
}
