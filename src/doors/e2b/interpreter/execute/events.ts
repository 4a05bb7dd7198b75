/** What is sent to a client while its code runs: one object for each line of the stream. */
export type Event =
  | { readonly type: 'number_of_executions'; readonly execution_count: number }
  | PrintEvent
  | ResultEvent
  | ErrorEvent
  | { readonly type: 'keepalive' }
  | { readonly type: 'end_of_execution' };

export interface PrintEvent {
  readonly type: 'stdout' | 'stderr';
  readonly text: string;
  /** ISO 8601. */
  readonly timestamp: string;
}

/** Clients take each key that they do not know for a format of the result, so there are no others. */
export interface ResultEvent extends Readonly<Record<string, unknown>> {
  readonly type: 'result';
  /** Whether it is the value of the cell, and not what the cell displays. */
  readonly is_main_result: boolean;
}

/** All three are always there: the Python client needs them. */
export interface ErrorEvent {
  readonly type: 'error';
  readonly name: string;
  readonly value: string;
  readonly traceback: string;
}

export function errorEvent(name: string, value: string, traceback = ''): ErrorEvent {
  return { type: 'error', name, value, traceback };
}
