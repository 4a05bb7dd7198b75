/** A request that is refused in words, with a status that clients of E2B know. */
export class RefusedError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.name = 'RefusedError';
    this.status = status;
  }
}

export function noContext(id: string): RefusedError {
  return new RefusedError(404, `Context ${id} not found`);
}
