/** Input that a user sends to an execution while it runs: standard input of a command, answers to `input()` of a cell. */
import { isUtf8 } from 'node:buffer';

/** A piece of input, as recorded. Input can make code do things, so it is recorded like code. */
export interface InputPiece {
  /** How many bytes of input were before it. */
  readonly offset: number;
  readonly bytes: number;
  /** Whether the input ends with it. */
  readonly close: boolean;
  /** Left out if it is not UTF-8, if it is secret, or if there is none. */
  readonly text?: string;
  /** The bytes, where they are not UTF-8. */
  readonly base64?: string;
}

/** The content of a piece in the form in which it is recorded. */
export function recordedContent(bytes: Buffer): Pick<InputPiece, 'text' | 'base64'> {
  if (bytes.length === 0) return {};
  return isUtf8(bytes) ? { text: bytes.toString('utf8') } : { base64: bytes.toString('base64') };
}

/** The bytes of a recorded piece. Null: they were secret. */
export function contentOfPiece({ bytes, text, base64 }: InputPiece): Buffer | null {
  if (text !== undefined) return Buffer.from(text);
  if (base64 !== undefined) return Buffer.from(base64, 'base64');
  return bytes === 0 ? Buffer.alloc(0) : null;
}
