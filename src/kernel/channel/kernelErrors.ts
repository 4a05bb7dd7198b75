/** The agent answered a request with something else than 200 (or with a body that is not as agreed). */
export class KernelHttpError extends Error {
  readonly status: number;
  constructor(status: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'KernelHttpError';
    this.status = status;
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
