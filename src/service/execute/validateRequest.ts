/**
 * Checks a caller's request before anything is recorded or a worker is claimed. Each error names the field and the
 * limit.
 */

import { createHash } from 'node:crypto';
import type { Config } from '../../config/config.ts';
import type { Language, Terminal, UserExpression } from '../../domain/executionOptions.ts';
import type { ContextId } from '../../domain/ids.ts';
import type { Comparable } from '../../domain/requestFacts.ts';
import {
  type EnvironmentVariable,
  parseContextId,
  refuse,
  validateDirectory,
  validateName,
  validateNumber,
  validateUserUuid,
  validateVariables,
  validateWait,
  validateWholeNumber,
} from '../validate.ts';
import type { CallerGone } from '../waiting.ts';

/** The agent has the same limits. */
const MAX_EXPRESSIONS = 64;
const MAX_NAME_CHARS = 128;

/** @throws BAD_USER_INPUT for too many expressions, and for names that are empty, too long or not unique */
function validateExpressions(expressions: readonly UserExpression[]): readonly UserExpression[] {
  if (expressions.length > MAX_EXPRESSIONS)
    refuse(
      'userExpressions',
      `has ${expressions.length} entries, at most ${MAX_EXPRESSIONS} are allowed`,
      {
        limit: MAX_EXPRESSIONS,
      },
    );
  const names = new Set<string>();
  for (const { name } of expressions) {
    if (name === '') refuse('userExpressions.name', 'must not be empty', {});
    validateName('userExpressions.name', name, MAX_NAME_CHARS);
    if (names.has(name)) refuse('userExpressions.name', `${JSON.stringify(name)} occurs twice`, {});
    names.add(name);
  }
  return expressions.map(({ name, code }) => ({ name, code }));
}

/** How many bytes the expressions add to the size of the code. */
function bytesOfExpressions(expressions: readonly UserExpression[]): number {
  return expressions.reduce(
    (sum, { name, code }) => sum + Buffer.byteLength(name) + Buffer.byteLength(code),
    0,
  );
}

/** The most columns, and the most rows, of a terminal. Linux keeps each number in 16 bits. */
const MAX_TERMINAL_SIDE = 65_535;

/** @param within the prefix of the field names in messages @throws BAD_USER_INPUT */
export function validateTerminal({ columns, rows }: Terminal, within = ''): Terminal {
  const range = { min: 1, max: MAX_TERMINAL_SIDE };
  return {
    columns: validateWholeNumber(`${within}columns`, columns, range),
    rows: validateWholeNumber(`${within}rows`, rows, range),
  };
}

const MAX_IDEMPOTENCY_KEY_CHARS = 256;
/** The label is stored in the execution's row, so it must be short. */
const MAX_LABEL_CHARS = 256;
const MIN_TIMEOUT_MS = 1;
/**
 * A command's code is an argument of its shell. Linux limits an argument to 131,072 bytes, including the zero byte at
 * its end.
 */
const MAX_COMMAND_BYTES = 131_071;

/** A caller's request. {@link validateRequest} fills in the defaults of optional fields. */
export interface ExecuteRequest {
  readonly userUuid: string;
  readonly code: string;
  readonly language?: Language | null | undefined;
  readonly contextId?: string | null | undefined;
  readonly keepAlive?: boolean | null | undefined;
  readonly stopOnError?: boolean | null | undefined;
  readonly environmentVariables?: readonly EnvironmentVariable[] | null | undefined;
  /** Relative to the home, or absolute. */
  readonly workingDirectory?: string | null | undefined;
  /** The caller's own name for the execution. */
  readonly label?: string | null | undefined;
  /** Whether a cell gets no number and shows no result. Its output and its error are reported all the same. */
  readonly silent?: boolean | null | undefined;
  /** Whether a cell is kept in the history, and takes a number. True by default, unless the cell is silent. */
  readonly storeHistory?: boolean | null | undefined;
  /**
   * Expressions that are evaluated after a cell that has ended without an error. One output of the kind `expressions`
   * has all the results.
   */
  readonly userExpressions?: readonly UserExpression[] | null | undefined;
  readonly allowInput?: boolean | null | undefined;
  readonly pty?: Terminal | null | undefined;
  /**
   * Whether this is a cell of a notebook. Its code may be empty. Its client decides how long to wait for it. So its
   * time limit may be as long as a command's, and by default it is the longest that is allowed.
   */
  readonly isNotebookCell?: boolean | null | undefined;
  /**
   * Whether this is a command that its client identifies by process id. The worker must then be able to report the id.
   * The client decides how long to wait for the command. So if `timeoutMs` is missing or too long, the command gets the
   * longest time limit that is allowed.
   */
  readonly isProcess?: boolean | null | undefined;
  readonly timeoutMs?: number | null | undefined;
  readonly idempotencyKey?: string | null | undefined;
  readonly waitForWorkerMs?: number | null | undefined;
  /** See {@link CallerGone}. */
  readonly gone?: CallerGone;
}

/** A validated request, with defaults filled in. */
export interface ValidRequest extends Comparable {
  /** As the request names it. Null: the default context, or a command. */
  readonly contextId: ContextId | null;
  // The fields below are not compared between two requests under one idempotency key.
  readonly userUuid: string;
  readonly codeSha256: string;
  /** The size of the code and of the user expressions. */
  readonly codeBytes: number;
  readonly isProcess: boolean;
  readonly timeoutMs: number;
  readonly idempotencyKey: string | null;
  readonly waitForWorkerMs: number;
}

/** @throws BAD_USER_INPUT; NOT_FOUND for a context that cannot exist */
export function validateRequest(request: ExecuteRequest, config: Config): ValidRequest {
  const userUuid = validateUserUuid(request.userUuid);
  const { code } = request;
  const isNotebookCell = request.isNotebookCell ?? false;
  const userExpressions = validateExpressions(request.userExpressions ?? []);
  const codeBytes = Buffer.byteLength(code) + bytesOfExpressions(userExpressions);
  const silent = request.silent ?? false;
  if (code === '' && !isNotebookCell) refuse('code', 'must not be empty', { limit: 1 });
  const language = request.language ?? 'PYTHON';
  requireLength(codeBytes, config.maxCodeBytes, '');
  if (language === 'BASH') requireCommand(request, codeBytes);
  else requireCell(request);
  const pty = request.pty ? validateTerminal(request.pty, 'pty.') : null;
  return {
    userUuid,
    code,
    // Code with lone surrogates is hashed as JSON: in UTF-8, all lone surrogates look alike.
    codeSha256: createHash('sha256').update(hashable(code)).digest('hex'),
    codeBytes,
    language,
    keepAlive: request.keepAlive ?? false,
    stopOnError: request.stopOnError ?? false,
    isProcess: request.isProcess ?? false,
    label: validateLabel(request.label ?? null),
    silent,
    storeHistory: !silent && (request.storeHistory ?? true),
    userExpressions,
    allowInput: pty !== null || (request.allowInput ?? false),
    pty,
    contextId: parseContextId(request.contextId),
    environmentVariables: validateVariables(request.environmentVariables ?? [], config),
    workingDirectory:
      request.workingDirectory == null ? null : validateDirectory(request.workingDirectory),
    timeoutMs: validateTimeout(request, config),
    idempotencyKey: validateKey(request.idempotencyKey ?? null),
    waitForWorkerMs: validateWait(request.waitForWorkerMs, config),
  };
}

function validateTimeout(
  { timeoutMs, language, isNotebookCell, isProcess }: ExecuteRequest,
  { executionTimeoutMs, maxExecutionTimeoutMs, maxCommandTimeoutMs }: Config,
): number {
  const isLong = language === 'BASH' || isNotebookCell;
  const fallback = isNotebookCell || isProcess ? maxCommandTimeoutMs : executionTimeoutMs;
  const asked = timeoutMs ?? fallback;
  return validateNumber('timeoutMs', isProcess ? Math.min(asked, maxCommandTimeoutMs) : asked, {
    min: MIN_TIMEOUT_MS,
    max: isLong ? maxCommandTimeoutMs : maxExecutionTimeoutMs,
  });
}

function requireLength(codeBytes: number, limit: number, why: string): void {
  if (codeBytes <= limit) return;
  refuse('code', `is ${codeBytes} bytes of UTF-8, at most ${limit} are allowed${why}`, { limit });
}

/** Refuses code that a shell cannot take, and options that only cells have. */
function requireCommand(request: ExecuteRequest, codeBytes: number): void {
  const { code, contextId } = request;
  requireNoCell(request);
  requireLength(codeBytes, MAX_COMMAND_BYTES, ' for a command');
  if (code.includes('\0')) refuse('code', 'of a command must not contain U+0000', {});
  if (!code.isWellFormed()) refuse('code', 'of a command must not contain lone surrogates', {});
  if (contextId != null)
    refuse('contextId', 'is for Python only: a command runs in no context', {});
}

function requireNoCell(request: ExecuteRequest): void {
  const { isNotebookCell, silent, storeHistory, userExpressions } = request;
  const expressions = (userExpressions ?? []).length > 0;
  const given = {
    isNotebookCell,
    silent,
    storeHistory: storeHistory === false,
    userExpressions: expressions,
  };
  for (const [field, isGiven] of Object.entries(given))
    if (isGiven) refuse(field, 'is for Python only', {});
}

function requireCell({ keepAlive, pty, isProcess }: ExecuteRequest): void {
  if (isProcess) refuse('isProcess', 'is for commands only: a cell has no process', {});
  if (keepAlive)
    refuse('keepAlive', 'is for commands only: a cell keeps its session alive anyway', {});
  if (pty) refuse('pty', 'is for commands only: a cell has no terminal', {});
}

/** Whether the request has an idempotency key, so that sending it again runs nothing twice. */
export function hasKey({ idempotencyKey }: Pick<ExecuteRequest, 'idempotencyKey'>): boolean {
  return typeof idempotencyKey === 'string';
}

function validateKey(key: string | null): string | null {
  if (key === '') refuse('idempotencyKey', 'must not be empty; leave it out instead', {});
  if (key !== null) validateName('idempotencyKey', key, MAX_IDEMPOTENCY_KEY_CHARS);
  return key;
}

function validateLabel(label: string | null): string | null {
  if (label !== null) validateName('label', label, MAX_LABEL_CHARS);
  return label;
}

function hashable(code: string): string {
  return code.isWellFormed() ? code : JSON.stringify(code);
}
