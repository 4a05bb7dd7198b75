import type { Language, Terminal, UserExpression } from './executionOptions.ts';

/**
 * What a request asks to run. A repeated request under the same idempotency key must agree in every field. The caller's
 * wait and the code's time limit are not among the fields: a repeated call keeps the limits of the first.
 *
 * A field that has its default is left out. So a request that does not use a new field has the same facts in a release
 * that has this field and in one that does not.
 */
export interface RequestFacts {
  readonly code: string;
  /**
   * The context as the request names it. A request with the id of the default context differs from one without an id.
   */
  readonly contextId?: string;
  readonly language?: 'BASH';
  readonly keepAlive?: 'true';
  readonly stopOnError?: 'true';
  /** Absolute. */
  readonly workingDirectory?: string;
  /** The value of each environment variable, by its name. */
  readonly [variable: `environmentVariables.${string}`]: string;
  readonly label?: string;
  readonly silent?: 'true';
  readonly storeHistory?: 'false';
  /** The code of each expression, by its name. */
  readonly [expression: `userExpressions.${string}`]: string;
  readonly allowInput?: 'true';
  /** Columns and rows: `80x24`. */
  readonly pty?: string;
}

/** The fields of a request in which two requests under one idempotency key must agree. Facts are made from them. */
export interface Comparable {
  readonly code: string;
  /** Null: the default context. */
  readonly contextId: string | null;
  readonly language: Language;
  readonly keepAlive: boolean;
  readonly stopOnError: boolean;
  /** Absolute. Null: the folder of the context, or else the home. */
  readonly workingDirectory: string | null;
  readonly environmentVariables: Readonly<Record<string, string>>;
  readonly label: string | null;
  readonly silent: boolean;
  /** False also if the cell is silent. */
  readonly storeHistory: boolean;
  readonly userExpressions: readonly UserExpression[];
  /** True also for a command with a terminal. */
  readonly allowInput: boolean;
  readonly pty: Terminal | null;
}

/** The facts of a request, without its other fields. */
export function requestFacts(request: Comparable): RequestFacts {
  const { code, contextId, language, keepAlive, workingDirectory, environmentVariables } = request;
  const { allowInput, pty, stopOnError, label, silent, storeHistory, userExpressions } = request;
  const variables = Object.entries(environmentVariables);
  return {
    code,
    ...(contextId !== null && { contextId }),
    ...(language === 'BASH' && { language }),
    ...(keepAlive && { keepAlive: 'true' }),
    ...(stopOnError && { stopOnError: 'true' }),
    ...(workingDirectory !== null && { workingDirectory }),
    ...Object.fromEntries(
      variables.map(([name, value]) => [`environmentVariables.${name}`, value]),
    ),
    ...(label !== null && { label }),
    ...(silent && { silent: 'true' }),
    ...(!silent && !storeHistory && { storeHistory: 'false' }),
    ...Object.fromEntries(
      userExpressions.map(({ name, code: asked }) => [`userExpressions.${name}`, asked]),
    ),
    ...(allowInput && { allowInput: 'true' }),
    ...(pty !== null && { pty: `${pty.columns}x${pty.rows}` }),
  };
}
