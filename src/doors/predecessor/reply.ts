/** What the predecessor answered: a status, and an object as JSON. */
export interface Reply {
  readonly status: number;
  readonly body: object;
}

/** An answer that only says something. */
export function detail(status: number, text: unknown): Reply {
  return { status, body: { detail: text } };
}

export const NO_WORKER = 'No available workers. Please try again later.';
export const INITIALIZING = 'Worker pool is initializing. Please try again shortly.';
/** The worker was lost, or the gateway is going: nobody can say whether the code has run to its end. */
export const NO_CONNECTION = 'Gateway Timeout: Could not connect to the execution worker.';
export const WRONG_TOKEN = 'Invalid or missing authentication token';
export const INTERNAL = 'Internal Server Error';
