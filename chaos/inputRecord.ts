import type { Answered } from './answered.ts';

/** One call with input for an execution, including all its attempts at any gateways. */
export interface InputRecord extends Answered<InputAnswer> {
  readonly user: string;
  readonly executionId: string;
  readonly offset: number;
  /** The bytes. Null: none. */
  readonly base64: string | null;
  /** Whether the input ends with it. */
  readonly close: boolean;
}

export interface InputAnswer {
  readonly offset: number;
  readonly nextOffset: number;
}
