/**
 * What a request may ask beside its code. A field with its default is left out of the event, so the event of plain code
 * is the one that releases without these fields record.
 */
import type { ContextId } from './ids.ts';
import type { UserExpression } from './userExpressions.ts';

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
  /** Absolute. Left out: where the context or the home is. */
  readonly workingDirectory?: string;
  /** Sorted. The values are in no event. Left out if there are none. */
  readonly environmentVariableNames?: readonly string[];
  /** Whether it may wait for input. Left out if not. */
  readonly allowInput?: true;
  /** Whether a command keeps its session from falling idle. Left out if not; cells always do. */
  readonly keepAlive?: true;
  /** Left out if a command has no terminal. */
  readonly pty?: Terminal;
  /** Whether what is queued behind it is cancelled when it does not end OK. Left out if not. */
  readonly stopOnError?: true;
  /** What its caller calls it. It means nothing here. Left out if nobody calls it anything. */
  readonly label?: string;
  /** Whether a cell has no number and shows no result. Left out if it has. */
  readonly silent?: true;
  /** Whether a cell is in the history of its kernel, and takes a number. Left out if so, or if it is silent. */
  readonly storeHistory?: false;
  /** What is evaluated after a cell that has ended well. It is code, so it is only in the event. Left out if there is none. */
  readonly userExpressions?: readonly UserExpression[];
}

/** What only whoever runs it needs. It is one column, null for plain code. */
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

/** @returns null if the request asks for none of them */
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

/** Whether a session is not idle while this runs. */
export function keepsAlive(options: ExecutionOptions): boolean {
  return !isCommand(options) || options.keepAlive === true;
}
