/** Errors of the Connect protocol (https://connectrpc.com/docs/protocol#error-codes). */

/** Each code, and the status of a unary answer that has it. */
export const RPC_STATUSES = {
  invalid_argument: 400,
  failed_precondition: 400,
  out_of_range: 400,
  unauthenticated: 401,
  permission_denied: 403,
  not_found: 404,
  already_exists: 409,
  aborted: 409,
  resource_exhausted: 429,
  canceled: 499,
  internal: 500,
  unknown: 500,
  unimplemented: 501,
  unavailable: 503,
  deadline_exceeded: 504,
} as const;

export type RpcCode = keyof typeof RPC_STATUSES;

/** A call of a method fails so. The caller gets the message unchanged. */
export class RpcError extends Error {
  readonly code: RpcCode;
  constructor(code: RpcCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'RpcError';
    this.code = code;
  }
}
