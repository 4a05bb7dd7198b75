import type { z } from 'zod';

/** Time limit of an operation that the agent answers from memory. */
export const QUICK_TIMEOUT_MS = 5_000;
/**
 * Time limit of an operation that starts or ends a kernel. An unforked kernel takes seconds to start on a busy machine.
 */
export const KERNEL_TIMEOUT_MS = 30_000;

/**
 * One operation that a gateway may request from an agent over HTTP (docs/worker-protocol.md, "Operations"). Its key in
 * `operationTable.ts` is its name and its path. docs/decisions/0020-worker-operations-are-rows.md describes how an
 * operation that streams bytes will fit in.
 */
export interface Operation<Input, Answer> {
  /**
   * A GET only reads: it has no fields, and the agent does not check its epoch. The agent accepts a POST only under the
   * highest epoch that it has seen.
   */
  readonly method: 'GET' | 'POST';
  /** Limit from dialling to the last byte of the answer. */
  readonly timeoutMs: number;
  /** Left out: 64 KiB, enough for an answer of a few short fields. */
  readonly maxAnswerBytes?: number;
  /** The fields of the request, under the names of the protocol. The epoch is not among them. */
  readonly request: (input: Input) => Readonly<Record<string, unknown>>;
  readonly answer: z.ZodType<Answer>;
}

/** Returns `row` unchanged, so that TypeScript infers its types. */
export function operation<Input, Answer>(row: Operation<Input, Answer>): Operation<Input, Answer> {
  return row;
}

/** The input of a GET: none. */
export type NoInput = Readonly<Record<string, never>>;
