/** A request that is not carried out, and why. */
export interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly message: string;
  readonly details?: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** There was no token at all. Some wires say something else then than of a wrong one. */
  readonly isTokenMissing?: true;
}

/** A refusal in the form of one wire. */
export interface RefusalAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}
