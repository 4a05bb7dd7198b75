/** The agent refused a call, or its answer has an unexpected body. */
export class KernelHttpError extends Error {
  readonly status: number;
  /**
   * The agent's error code (worker-protocol.md, "Operations"). Null: it gave none. `not_as_agreed`: the body of
   * its answer is unexpected.
   */
  readonly code: string | null;
  constructor(status: number, code: string | null, call: string) {
    super(`The worker answered ${call} with HTTP ${status}${code === null ? '' : ` (${code})`}.`);
    this.name = 'KernelHttpError';
    this.status = status;
    this.code = code;
  }
}

/** The code of a refusal. Null: the agent did not answer, or gave none. */
export function refusalCode(error: unknown): string | null {
  return error instanceof KernelHttpError ? error.code : null;
}

/** Another gateway has taken over this worker with a higher epoch. This gateway must stop acting for it. */
export class FencedByWorkerError extends Error {
  constructor() {
    super('The worker has been taken over by another gateway.');
    this.name = 'FencedByWorkerError';
  }
}

/** The peer violated the protocol (worker-protocol.md). The connection is closed and a new one is made. */
export class KernelProtocolError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'KernelProtocolError';
  }
}
