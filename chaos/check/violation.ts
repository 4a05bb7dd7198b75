/**
 * One thing that must not be. `lost`: an execution, an output, a state, a session or its cause, or the order of things;
 * `doubled`: what happened, or was told, twice; `orphan`: what was left over at rest.
 */
export interface Violation {
  readonly type: 'lost' | 'doubled' | 'orphan';
  readonly what: string;
}

export const lost = (what: string): Violation => ({ type: 'lost', what });
export const doubled = (what: string): Violation => ({ type: 'doubled', what });
export const orphan = (what: string): Violation => ({ type: 'orphan', what });
