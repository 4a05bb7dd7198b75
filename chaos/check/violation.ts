/**
 * Something that must not happen. `lost`: an execution, output, state or session was lost, or its cause or order.
 * `doubled`: something happened or was reported twice. `orphan`: something was left over at rest.
 */
export interface Violation {
  readonly type: 'lost' | 'doubled' | 'orphan';
  readonly what: string;
}

export const lost = (what: string): Violation => ({ type: 'lost', what });
export const doubled = (what: string): Violation => ({ type: 'doubled', what });
export const orphan = (what: string): Violation => ({ type: 'orphan', what });
