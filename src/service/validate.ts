/** Checks that several operations share. Nearly all throw BAD_USER_INPUT, with the field and the limit. */
import type { Config } from '../config/config.ts';
import { DomainError } from '../domain/errors.ts';
import {
  type FilePath,
  isBadPath,
  isWhole,
  parsePathBytes,
  parsePathText,
} from '../domain/filePath.ts';
import { type ContextId, parseId } from '../domain/ids.ts';
import { isPlainName } from '../domain/text.ts';
import { WORKER_HOME } from '../domain/worker.ts';
import { noContext } from './refusal.ts';

/** A UUID is recommended, but any name up to this length is accepted. */
const MAX_USER_UUID_CHARS = 128;

/** @param field the name of the argument @throws BAD_USER_INPUT */
export function validateUserUuid(userUuid: string, field = 'userUuid'): string {
  if (userUuid === '') refuse(field, 'must not be empty', { limit: MAX_USER_UUID_CHARS });
  validateName(field, userUuid, MAX_USER_UUID_CHARS);
  return userUuid;
}

/**
 * @param limit in UTF-16 units
 * @throws BAD_USER_INPUT for text that is too long, or that PostgreSQL's `text` refuses
 */
export function validateName(field: string, text: string, limit: number): void {
  if (text.length > limit) {
    refuse(field, `is ${text.length} characters, at most ${limit} are allowed`, { limit });
  }
  if (text.includes('\u0000')) refuse(field, 'must not contain U+0000', {});
  if (!text.isWellFormed()) refuse(field, 'must not contain lone surrogates', {});
}

/** @param max null: no maximum @throws BAD_USER_INPUT */
export function validateNumber(
  field: string,
  value: number,
  { min, max }: { readonly min: number; readonly max: number | null },
): number {
  if (value >= min && value <= (max ?? value)) return value;
  if (max === null) return refuse(field, `is ${value}, but must be at least ${min}`, { min });
  return refuse(field, `is ${value}, but must be from ${min} to ${max}`, { limit: max });
}

/** Like {@link validateNumber}, but refuses fractions. @throws BAD_USER_INPUT */
export function validateWholeNumber(
  field: string,
  value: number,
  range: { readonly min: number; readonly max: number | null },
): number {
  if (!Number.isInteger(value)) refuse(field, `is ${value}, but must be a whole number`, {});
  return validateNumber(field, value, range);
}

/** How long a call waits for a worker. Null or left out: the maximum. @throws BAD_USER_INPUT */
export function validateWait(
  waitMs: number | null | undefined,
  { workerWaitTimeoutMs: max }: Pick<Config, 'workerWaitTimeoutMs'>,
): number {
  return validateNumber('waitForWorkerMs', waitMs ?? max, { min: 0, max });
}

/** The id of a context in a request. @throws NOT_FOUND for text that cannot name one */
export function parseContextId(given: string | null | undefined): ContextId | null {
  if (given == null) return null;
  const id = parseId<ContextId>(given);
  if (id === null) throw noContext(given);
  return id;
}

/** @throws BAD_USER_INPUT, with `details` beside the field */
export function refuse(
  field: string,
  what: string,
  details: Readonly<Record<string, unknown>>,
): never {
  throw new DomainError('BAD_USER_INPUT', `${field} ${what}.`, { field, ...details });
}

/** These pairs as an object. @throws BAD_USER_INPUT if a key comes twice */
export function metadataOf(
  pairs: readonly { readonly key: string; readonly value: string }[],
): Readonly<Record<string, string>> {
  const keys = new Set(pairs.map(({ key }) => key));
  if (keys.size < pairs.length) refuse('metadata', 'has a key twice', {});
  return Object.fromEntries(pairs.map(({ key, value }) => [key, value]));
}

// Checks environment variables, of a session or of one execution, and the folder that code begins in.

/** A name that every shell accepts. */
const VARIABLE_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

export interface EnvironmentVariable {
  readonly name: string;
  readonly value: string;
}

/** Values by name. */
export type Variables = Readonly<Record<string, string>>;

export type VariableLimits = Pick<
  Config,
  'maxEnvironmentVariables' | 'maxEnvironmentNameBytes' | 'maxEnvironmentBytes'
>;

/** @throws BAD_USER_INPUT, with the field `environmentVariables`, and never with a value */
export function validateVariables(
  given: readonly EnvironmentVariable[],
  {
    maxEnvironmentVariables: maxCount,
    maxEnvironmentNameBytes,
    maxEnvironmentBytes,
  }: VariableLimits,
): Variables {
  const field = 'environmentVariables';
  if (given.length > maxCount) {
    refuse(field, `has ${given.length} items, at most ${maxCount} are allowed`, {
      limit: maxCount,
    });
  }
  const variables = new Map<string, string>();
  let bytes = 0;
  for (const { name, value } of given) {
    validateName(field, name, maxEnvironmentNameBytes);
    if (!VARIABLE_NAME.test(name)) {
      refuse(field, 'must have names of letters, digits and _ that do not begin with a digit', {});
    }
    if (variables.has(name)) refuse(field, `has ${name} twice`, {});
    validateName(field, value, maxEnvironmentBytes);
    bytes += name.length + Buffer.byteLength(value);
    variables.set(name, value);
  }
  if (bytes > maxEnvironmentBytes) {
    refuse(field, `is ${bytes} bytes of UTF-8, at most ${maxEnvironmentBytes} are allowed`, {
      limit: maxEnvironmentBytes,
    });
  }
  return Object.fromEntries(variables);
}

/** The absolute path of a folder, which need not exist. @throws BAD_USER_INPUT, with the field `workingDirectory` */
export function validateDirectory(given: string): string {
  const field = 'workingDirectory';
  if (given === '') refuse(field, 'must not be empty; leave it out instead', {});
  const { text } = validatePath(given, field);
  if (text === '.') return WORKER_HOME;
  return text.startsWith('/') ? text : `${WORKER_HOME}/${text}`;
}

/** A path as a caller gives it: text, or the bytes of a URL. Relative to the home, or absolute. */
export type GivenPath = string | Buffer;

/** @throws BAD_USER_INPUT */
export function validatePath(given: GivenPath, field = 'path'): FilePath {
  const path = typeof given === 'string' ? parsePathText(given) : parsePathBytes(given);
  if (!isBadPath(path)) return path;
  const { problem, limit } = path;
  return refuse(field, problem, limit === undefined ? {} : { limit });
}

/** A path that a caller may make, delete or move: not the home or the root itself. @throws BAD_USER_INPUT */
export function validateChangeable(given: GivenPath, field = 'path'): FilePath {
  const path = validatePath(given, field);
  if (isWhole(path)) refuse(field, 'must name a file or a folder below the home or the root', {});
  return path;
}

/** A path that a caller may make: it must be UTF-8, too. @throws BAD_USER_INPUT */
export function validateNewPath(given: GivenPath, field = 'path'): FilePath {
  const path = validateChangeable(given, field);
  if (!path.isUtf8) refuse(field, 'must be UTF-8', {});
  return path;
}

/** Bytes of a call: either as text, or in base64. */
export interface Content {
  readonly text?: string | null | undefined;
  readonly base64?: string | null | undefined;
}

/** @throws BAD_USER_INPUT unless exactly one of text and base64 is given, and is well formed */
export function contentOf(content: Content): Buffer {
  if (content.text == null && content.base64 == null)
    return refuse('text', 'or base64 must be given', {});
  return optionalContentOf(content);
}

/** Like {@link contentOf}, but without text and base64 the content is empty. @throws BAD_USER_INPUT */
export function optionalContentOf({ text, base64 }: Content): Buffer {
  if (text != null && base64 != null) refuse('base64', 'must not be given beside text', {});
  if (text != null) {
    if (!text.isWellFormed()) {
      refuse('text', 'must not contain lone surrogates; send the bytes as base64', {});
    }
    return Buffer.from(text);
  }
  const bytes = Buffer.from(base64 ?? '', 'base64');
  if (bytes.toString('base64') !== (base64 ?? '')) {
    refuse('base64', 'must be base64 (RFC 4648, section 4), padded, on one line', {});
  }
  return bytes;
}

/** @throws BAD_USER_INPUT */
export function validateWord(field: string, text: string): string {
  if (isPlainName(text)) return text;
  return refuse(field, 'must be 1 to 64 of the characters A-Z a-z 0-9 . _ -', { limit: 64 });
}
