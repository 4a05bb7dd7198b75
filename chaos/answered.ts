/** How all attempts at one thing ended. */
export interface Answered<Answer> {
  readonly startedAt: number;
  readonly endedAt: number;
  /** The number of failed attempts by cause: an error's code, or how the connection broke. */
  readonly failures: Readonly<Record<string, number>>;
  /** Null: no gateway answered within the limit or before the client gave up, so nobody knows whether it was done. */
  readonly answer: Answer | null;
  /** The code of an error after which the call can never succeed, such as NOT_FOUND. */
  readonly refusal: string | null;
}
