/** What a kernel can be asked while it runs nothing, and what it answers. It is no execution, and is recorded nowhere. */

export type KernelQuestion =
  | CodeQuestion<'complete'>
  | (CodeQuestion<'inspect'> & {
      /** 1: with the source. */
      readonly detail: 0 | 1;
    })
  | { readonly type: 'isComplete'; readonly code: string }
  | HistoryQuestion;

/** About the place of a cursor in code. */
interface CodeQuestion<Type> {
  readonly type: Type;
  readonly code: string;
  /** How many Unicode code points are before it. */
  readonly cursor: number;
}

/** What cells the present kernel of the context has run. Silent cells are not among them. */
export interface HistoryQuestion {
  readonly type: 'history';
  /** The last `count` cells, those from `start` to before `stop`, or the last `count` that match `pattern`. */
  readonly access: 'tail' | 'range' | 'search';
  /** Whether code comes as it was sent. Otherwise as plain Python, without IPython's own syntax. */
  readonly raw: boolean;
  /** Whether results come, too. */
  readonly output: boolean;
  readonly count?: number | undefined;
  readonly start?: number | undefined;
  readonly stop?: number | undefined;
  /** With the wildcards of file names. */
  readonly pattern?: string | undefined;
  /** Whether equal cells are told once. */
  readonly unique?: boolean | undefined;
  /** 0, the default: the present kernel. Of any other, nothing is known. */
  readonly session?: number | undefined;
}

/** A question, and whose kernel is asked. */
export interface AskedKernel {
  /** Null: that of the default context. */
  readonly contextId: string | null;
  readonly question: KernelQuestion;
}

export type KernelAnswer =
  | {
      readonly type: 'complete';
      readonly matches: readonly string[];
      /** What a match replaces, in code points. */
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
      /** What the next line begins with. */
      readonly indent: string;
    }
  | { readonly type: 'history'; readonly entries: readonly PastCell[] };

export interface PastCell {
  readonly session: number;
  /** The number of the cell. */
  readonly line: number;
  readonly input: string;
  /** Null also if results were not asked for. */
  readonly output: string | null;
}

/** What a kernel says of itself when it starts, before any user code runs in it. Unknown text is empty. */
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
