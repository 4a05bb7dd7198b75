/**
 * Questions to a kernel that runs nothing at the moment, and its answers. They are not executions, and are not
 * recorded.
 */

export type KernelQuestion =
  | CodeQuestion<'complete'>
  | (CodeQuestion<'inspect'> & {
      /** 1: with the source code. */
      readonly detail: 0 | 1;
    })
  | { readonly type: 'isComplete'; readonly code: string }
  | HistoryQuestion;

/** A question about the code at a cursor. */
interface CodeQuestion<Type> {
  readonly type: Type;
  readonly code: string;
  /** How many Unicode code points are before it. */
  readonly cursor: number;
}

/** Asks for the cells that the current kernel of the context has run, without silent ones. */
export interface HistoryQuestion {
  readonly type: 'history';
  /** The last `count` cells, those from `start` to before `stop`, or the last `count` that match `pattern`. */
  readonly access: 'tail' | 'range' | 'search';
  /**
   * Whether code is returned as it was sent. Otherwise it is returned as plain Python, without IPython's own syntax.
   */
  readonly raw: boolean;
  /** Whether results are returned, too. */
  readonly output: boolean;
  readonly count?: number | undefined;
  readonly start?: number | undefined;
  readonly stop?: number | undefined;
  /** May contain the wildcards of file names. */
  readonly pattern?: string | undefined;
  /** Whether equal cells are returned only once. */
  readonly unique?: boolean | undefined;
  /** 0, the default, is the current kernel. Cells of earlier kernels are not known. */
  readonly session?: number | undefined;
}

/** A question, and the context whose kernel is asked. */
export interface AskedKernel {
  /** Null: the default context. */
  readonly contextId: string | null;
  readonly question: KernelQuestion;
}

export type KernelAnswer =
  | {
      readonly type: 'complete';
      readonly matches: readonly string[];
      /** The part of the code that a match replaces, in Unicode code points. */
      readonly cursorStart: number;
      readonly cursorEnd: number;
    }
  | {
      readonly type: 'inspect';
      readonly found: boolean;
      /** Text by MIME type. */
      readonly data: Readonly<Record<string, string>>;
    }
  | {
      readonly type: 'isComplete';
      readonly status: 'complete' | 'incomplete' | 'invalid' | 'unknown';
      /** The indentation of the next line. */
      readonly indent: string;
    }
  | { readonly type: 'history'; readonly entries: readonly PastCell[] };

export interface PastCell {
  readonly session: number;
  /** The number of the cell. */
  readonly line: number;
  readonly input: string;
  /** The result. Null if there is none, or if results were not asked for. */
  readonly output: string | null;
}

/** What a kernel reports about itself when it starts, before any user code runs in it. Unknown text is empty. */
export interface KernelFacts {
  /** The version of Jupyter's protocol. */
  readonly protocolVersion: string;
  readonly implementation: string;
  readonly implementationVersion: string;
  readonly banner: string;
  readonly language: {
    readonly name: string;
    readonly version: string;
    readonly mimetype: string;
    readonly fileExtension: string;
    readonly pygmentsLexer: string;
    readonly nbconvertExporter: string;
  };
}
