import type { z } from 'zod';

/** Of what an agent answers from memory. */
export const QUICK_TIMEOUT_MS = 5_000;

/**
 * What a gateway may ask of an agent by a call of its own (docs/worker-protocol.md, "Operations"). Its key in
 * `operationTable.ts` is its name, and so its path. How one that streams bytes will fit is in
 * docs/decisions/0020-worker-operations-are-rows.md.
 */
export interface Operation<Input, Answer> {
  /** GET only looks: it has no fields and no fence. The agent does a POST for the highest epoch only. */
  readonly method: 'GET' | 'POST';
  /** From dialling to the last byte of the answer. */
  readonly timeoutMs: number;
  /** The fields of the request as the wire names them; the epoch is not among them. */
  readonly request: (input: Input) => Readonly<Record<string, unknown>>;
  readonly answer: z.ZodType<Answer>;
}

/** Infers the types. */
export function operation<Input, Answer>(row: Operation<Input, Answer>): Operation<Input, Answer> {
  return row;
}

/** What a GET is called with. */
export type NoInput = Readonly<Record<string, never>>;
