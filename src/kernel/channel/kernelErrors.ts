/** The agent refused a call (or answered with a body that is not as agreed). */
export class KernelHttpError extends Error {
  readonly status: number;
  /** Why, as the agent says it (docs/worker-protocol.md, "Operations"); null: it did not. */
  readonly code: string | null;
  constructor(status: number, code: string | null, call: string) {
    super(`The worker answered ${call} with HTTP ${status}${code === null ? '' : ` (${code})`}.`);
    this.name = 'KernelHttpError';
    this.status = status;
    this.code = code;
  }
}

/** Another gateway took this worker over with a higher epoch: stop acting for it. */
export class FencedByWorkerError extends Error {
  constructor() {
    super('The worker has been taken over by another gateway.');
    this.name = 'FencedByWorkerError';
  }
}

/** The peer broke the agreed protocol (docs/worker-protocol.md); the connection is given up and made anew. */
export class KernelProtocolError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'KernelProtocolError';
  }
}
