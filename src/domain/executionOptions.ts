/**
 * The options of a request to run code. A field that has its default value is left out of the event. So a request
 * without options records the same event as in releases that did not have these fields.
 */
import type { ContextId } from './ids.ts';

/** An expression that a notebook wants to have evaluated after a cell that ended OK. */
export interface UserExpression {
  readonly name: string;
  readonly code: string;
}

/** The result of one expression. */
export type ExpressionResult =
  | {
      readonly status: 'ok';
      /** Values by MIME type. */
      readonly data: Readonly<Record<string, unknown>>;
      readonly metadata: Readonly<Record<string, unknown>>;
    }
  | {
      readonly status: 'error';
      readonly name: string;
      readonly value: string;
      readonly traceback: readonly string[];
    };

export type Language = 'PYTHON' | 'BASH';

/** The size of a terminal, in characters. */
export interface Terminal {
  readonly columns: number;
  readonly rows: number;
}

export interface ExecutionOptions {
  /** Left out for Python. */
  readonly language?: 'BASH';
  /** Left out for the session's default context, and for commands, which have none. */
  readonly contextId?: ContextId;
  /** Absolute. Left out: the working directory of the context, or the home. */
  readonly workingDirectory?: string;
  /** Sorted. The values are in no event. Left out if there are none. */
  readonly environmentVariableNames?: readonly string[];
  /** Whether it may wait for input. Left out if not. */
  readonly allowInput?: true;
  /** Whether a command keeps its session from falling idle. Left out if not; cells always do. */
  readonly keepAlive?: true;
  /** The terminal of a command. Left out if it has none. */
  readonly pty?: Terminal;
  /** Whether the executions queued behind it are cancelled if it does not end OK. Left out if not. */
  readonly stopOnError?: true;
  /** A label that the caller chose. It has no effect, but a command can be found by it. Left out if there is none. */
  readonly label?: string;
  /** Whether a cell gets no number and shows no result. Left out if not. */
  readonly silent?: true;
  /**
   * False if a cell stays out of its kernel's history and takes no number. Left out for other cells and for silent
   * ones.
   */
  readonly storeHistory?: false;
  /**
   * Expressions to evaluate after the cell if it ends OK. Like all code, they are in the event but not in the row. Left
   * out if there are none.
   */
  readonly userExpressions?: readonly UserExpression[];
}

/**
 * Options that matter mainly to the gateway that runs the execution. They are one column of the row, which is null if
 * there are none.
 */
export type StoredOptions = Pick<
  ExecutionOptions,
  | 'workingDirectory'
  | 'environmentVariableNames'
  | 'allowInput'
  | 'pty'
  | 'stopOnError'
  | 'label'
  | 'silent'
  | 'storeHistory'
>;

/** @returns null if the request has none of these options */
export function storedOptions(options: ExecutionOptions): StoredOptions | null {
  const { workingDirectory, environmentVariableNames, allowInput, pty, stopOnError } = options;
  const { label, silent, storeHistory } = options;
  const stored = {
    ...(workingDirectory !== undefined && { workingDirectory }),
    ...(environmentVariableNames && { environmentVariableNames }),
    ...(allowInput && { allowInput }),
    ...(pty && { pty }),
    ...(stopOnError && { stopOnError }),
    ...(label !== undefined && { label }),
    ...(silent && { silent }),
    ...(storeHistory === false && { storeHistory }),
  };
  return Object.keys(stored).length === 0 ? null : stored;
}

/** Whether it is code for a shell, which runs in no kernel. */
export function isCommand({ language }: { readonly language?: Language }): boolean {
  return language === 'BASH';
}

/** Whether a session counts as in use while an execution with these options runs. */
export function keepsAlive(options: ExecutionOptions): boolean {
  return !isCommand(options) || options.keepAlive === true;
}
