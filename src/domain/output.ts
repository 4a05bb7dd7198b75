import { jsonText } from './exactJson.ts';
import type { ExpressionResult } from './executionOptions.ts';
import type { ExecutionId } from './ids.ts';

/**
 * One output of a piece of code, as in Jupyter's messages. Text may hold anything that a Python `str` can: U+0000, lone
 * surrogates, megabytes in one line.
 */
export type Output =
  | StreamOutput
  | RichOutput
  | {
      readonly kind: 'error';
      readonly name: string;
      readonly value: string;
      readonly traceback: readonly string[];
    }
  | { readonly kind: 'clear'; readonly wait: boolean }
  | InputRequest
  | ExpressionResults
  | { readonly kind: 'gap'; readonly reason: string; readonly droppedBytes: number | null };

/** A cell waits for a line of input. */
export interface InputRequest {
  readonly kind: 'input';
  readonly prompt: string;
  /** Whether the answer is secret, because `getpass` asks for it. */
  readonly password: boolean;
}

/** The results of the expressions that were evaluated after a cell, by name. */
export interface ExpressionResults {
  readonly kind: 'expressions';
  readonly results: Readonly<Record<string, ExpressionResult>>;
}

/** Text of a stream, or bytes of it that are not UTF-8. */
export interface StreamOutput {
  readonly kind: 'stream';
  readonly name: 'stdout' | 'stderr';
  /** For bytes that are not UTF-8, as much as can be shown as text. */
  readonly text: string;
  /** The bytes in base64, if they are not UTF-8. Otherwise left out, because `text` is exact. */
  readonly base64?: string;
}

export interface RichOutput {
  readonly kind: 'result' | 'display' | 'update';
  /** Values by MIME type, as in Jupyter's messages. For whole numbers see exactJson.ts. */
  readonly data: Readonly<Record<string, unknown>>;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly displayId: string | null;
  readonly executionCount: number | null;
}

/** The text of a value of {@link RichOutput.data}, which may be a string or a list of lines. Null if it is not text. */
export function mimeText(value: unknown): string | null {
  if (typeof value === 'string') return value;
  if (Array.isArray(value) && value.every((line) => typeof line === 'string'))
    return value.join('');
  return null;
}

/** The last item of an execution's outputs. How it ended is recorded on the execution itself. */
export interface Finish {
  readonly kind: 'finish';
}

export interface OutputItem {
  readonly executionId: ExecutionId;
  /** From 1, without holes; the finish is the last. */
  readonly seq: number;
  readonly at: Date;
  readonly output: Output | Finish;
}

/**
 * Some outputs of one execution: at most `limit` (null: all) with a seq above `after`. The finish counts as an output.
 */
export interface OutputPage {
  readonly executionId: ExecutionId;
  readonly after: number;
  readonly limit: number | null;
}

/** The last output that a reader got. The reader continues after it. Seq 0 is before the execution's first output. */
export interface OutputCursor {
  readonly executionId: ExecutionId;
  readonly seq: number;
}

export interface OutputBounds {
  readonly limit: number;
  /** Limit for the stored JSON bodies together (UTF-8). The first item is returned even if it alone is larger. */
  readonly maxBytes: number;
}

/** The outputs that follow a cursor. */
export interface OutputsRead {
  /** In order, without holes, perhaps fewer than the bounds allow. Empty if there are none yet. */
  readonly items: readonly OutputItem[];
  /** Whether nothing will ever follow these items. */
  readonly isEnd: boolean;
}

/**
 * Roughly what each output costs in addition to its content, as a row and in memory (measured: 280 bytes). With it,
 * even tiny outputs count towards limits.
 */
export const ITEM_OVERHEAD_BYTES = 256;

/**
 * The size of an output in bytes, as an estimate: the exact size would cost another serialisation of every output. Text
 * counts as one byte for each UTF-16 unit. Text beyond Latin-1 takes twice that in memory.
 */
export function outputSize(output: Output | Finish): number {
  return ITEM_OVERHEAD_BYTES + contentSize(output);
}

function contentSize(output: Output | Finish): number {
  switch (output.kind) {
    case 'stream':
      return output.text.length + (output.base64?.length ?? 0);
    case 'error':
      return output.value.length + output.traceback.reduce((sum, line) => sum + line.length, 0);
    case 'result':
    case 'display':
    case 'update':
      return sizeOfValues(output.data) + sizeOfValues(output.metadata);
    case 'expressions':
      return Object.entries(output.results).reduce(
        (sum, [name, result]) => sum + name.length + resultSize(result),
        0,
      );
    case 'input':
      return output.prompt.length;
    case 'clear':
    case 'gap':
    case 'finish':
      return 0;
    default:
      return output satisfies never;
  }
}

function resultSize(result: ExpressionResult): number {
  return result.status === 'ok'
    ? sizeOfValues(result.data) + sizeOfValues(result.metadata)
    : contentSize({ kind: 'error', ...result });
}

function sizeOfValues(bundle: Readonly<Record<string, unknown>>): number {
  return Object.values(bundle).reduce<number>((sum, value) => sum + roughSize(value), 0);
}

function roughSize(value: unknown): number {
  return typeof value === 'string' ? value.length : jsonText(value).length;
}
