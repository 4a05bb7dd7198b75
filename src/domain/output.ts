import type { ExecutionId } from './ids.ts';

/**
 * One item of what a piece of code put out, as Jupyter's messages say it. Text may hold anything a Python `str` can:
 * U+0000, lone surrogates, megabytes in one line.
 */
export type Output =
  | { readonly kind: 'stream'; readonly name: 'stdout' | 'stderr'; readonly text: string }
  | RichOutput
  | {
      readonly kind: 'error';
      readonly name: string;
      readonly value: string;
      readonly traceback: readonly string[];
    }
  | { readonly kind: 'clear'; readonly wait: boolean }
  | { readonly kind: 'gap'; readonly reason: string; readonly droppedBytes: number | null };

export interface RichOutput {
  readonly kind: 'result' | 'display' | 'update';
  /** MIME type -> value, as Jupyter's; whole numbers as in exactJson.ts. */
  readonly data: Readonly<Record<string, unknown>>;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly displayId: string | null;
  readonly executionCount: number | null;
}

/** What closes an execution's outputs; the facts are on the execution itself. */
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

/** Some outputs of one execution: those with a seq above `after`, at most `limit` (null: all), the finish included. */
export interface OutputPage {
  readonly executionId: ExecutionId;
  readonly after: number;
  readonly limit: number | null;
}

/** An output that was given; what is asked for is what comes after it. With seq 0: before the execution's first. */
export interface OutputCursor {
  readonly executionId: ExecutionId;
  readonly seq: number;
}

export interface OutputBounds {
  readonly limit: number;
  /** Of the stored JSON bodies (UTF-8). The first item is given even if it alone is larger. */
  readonly maxBytes: number;
}

/** What is there after a cursor. */
export interface OutputsRead {
  /** In order, without holes, perhaps fewer than the bounds allow; none: there is nothing yet. */
  readonly items: readonly OutputItem[];
  /** Nothing will ever follow them. */
  readonly isEnd: boolean;
}
