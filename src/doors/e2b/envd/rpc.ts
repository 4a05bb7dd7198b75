/** Messages in the JSON of proto3 (https://protobuf.dev/programming-guides/json). An absent field has its default. */

import { DomainError, type ErrorCode } from '../../../domain/errors.ts';
import { isJsonObject } from '../../../domain/exactJson.ts';
import type { DoorDeps } from '../../openDoor.ts';
import type { Fields } from '../../shared/body.ts';
import type { SandboxCall } from '../sandbox.ts';

/** The message in a body. @throws RpcError `invalid_argument` */
export function messageIn(body: Buffer): Fields {
  const value = parsed(body);
  if (isJsonObject(value)) return value;
  throw invalid('The message must be a JSON object.');
}

/** A string. Empty by default. @throws RpcError `invalid_argument` */
export function textIn(fields: Fields, name: string): string {
  const value = fields[name] ?? '';
  if (typeof value === 'string') return value;
  throw invalid(`${name} must be a string.`);
}

/** A boolean. Null by default, because for some fields absent and false differ. @throws RpcError `invalid_argument` */
export function flagIn(fields: Fields, name: string): boolean | null {
  const value = fields[name] ?? null;
  if (value === null || typeof value === 'boolean') return value;
  throw invalid(`${name} must be a boolean.`);
}

/** An integer from 0, which may be written as a string. 0 by default. @throws RpcError `invalid_argument` */
export function countIn(fields: Fields, name: string): number {
  const value = fields[name] ?? 0;
  const isWritten = typeof value === 'string' && /^\d{1,15}$/.test(value);
  const number = isWritten ? Number(value) : value;
  if (typeof number === 'number' && Number.isSafeInteger(number) && number >= 0) return number;
  throw invalid(`${name} must be an integer from 0.`);
}

/** A message within the message. Null by default. @throws RpcError `invalid_argument` */
export function partIn(fields: Fields, name: string): Fields | null {
  const value = fields[name] ?? null;
  if (value === null || isJsonObject(value)) return value;
  throw invalid(`${name} must be an object.`);
}

/** Bytes in base64 of either alphabet. Null by default. @throws RpcError `invalid_argument` */
export function bytesIn(fields: Fields, name: string): Buffer | null {
  const value = fields[name] ?? null;
  if (value === null) return null;
  if (typeof value === 'string' && /^[A-Za-z0-9+/_-]*={0,2}$/.test(value)) {
    return Buffer.from(value, 'base64');
  }
  throw invalid(`${name} must be base64.`);
}

function parsed(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch (cause: unknown) {
    throw new RpcError('invalid_argument', 'The message is no JSON.', { cause });
  }
}

function invalid(message: string): RpcError {
  return new RpcError('invalid_argument', message);
}

// Frames of a stream: a byte of flags, the length in four bytes, and that many bytes of JSON.

const HEAD_BYTES = 5;
/** The frame is compressed. */
const COMPRESSED = 0x01;
/** The frame is the last one. It says how the stream ended. */
const END = 0x02;

/** A message as a frame. */
export function messageFrame(message: object): Buffer {
  return frame(0, message);
}

/** The last frame. @param error null: the stream ended without an error */
export function endFrame(error: RpcError | null): Buffer {
  return frame(END, error ? { error: errorBody(error) } : {});
}

/** An error in the form for callers: in the last frame, or as the body of a unary answer. */
export function errorBody({ code, message }: RpcError): object {
  return { code, message };
}

/**
 * The JSON in the one frame of a request.
 * @throws RpcError `invalid_argument` unless the body is exactly one whole frame; `unimplemented` if it is compressed
 */
export function onlyFrameIn(body: Buffer): Buffer {
  const isWhole = body.length >= HEAD_BYTES && body.readUInt32BE(1) === body.length - HEAD_BYTES;
  if (!isWhole) {
    throw new RpcError('invalid_argument', 'The body must be exactly one frame with a message.');
  }
  const flags = body.readUInt8(0);
  if (flags & COMPRESSED) throw compressed();
  if (flags !== 0) throw new RpcError('invalid_argument', 'The frame must be a message.');
  return body.subarray(HEAD_BYTES);
}

/** The error for a message that is compressed. */
export function compressed(): RpcError {
  return new RpcError('unimplemented', 'Messages must not be compressed: send them as they are.');
}

function frame(flags: number, message: object): Buffer {
  const json = Buffer.from(JSON.stringify(message));
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt8(flags, 0);
  head.writeUInt32BE(json.length, 1);
  return Buffer.concat([head, json]);
}

// Errors of the Connect protocol (https://connectrpc.com/docs/protocol#error-codes).

/** Each code, and the HTTP status of a unary answer with this code. */
export const RPC_STATUSES = {
  invalid_argument: 400,
  failed_precondition: 400,
  out_of_range: 400,
  unauthenticated: 401,
  permission_denied: 403,
  not_found: 404,
  already_exists: 409,
  aborted: 409,
  resource_exhausted: 429,
  canceled: 499,
  internal: 500,
  unknown: 500,
  unimplemented: 501,
  unavailable: 503,
  deadline_exceeded: 504,
} as const;

type RpcCode = keyof typeof RPC_STATUSES;

/** The failure of a method. The caller gets the message unchanged. */
export class RpcError extends Error {
  readonly code: RpcCode;
  constructor(code: RpcCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'RpcError';
    this.code = code;
  }
}

/**
 * The code of each error. An error that is not listed has the code `internal`. A full disk is not listed, because
 * `resource_exhausted` would tell the caller to slow down.
 */
const CODES: Partial<Readonly<Record<ErrorCode, RpcCode>>> = {
  BAD_USER_INPUT: 'invalid_argument',
  IS_A_DIRECTORY: 'invalid_argument',
  NOT_A_DIRECTORY: 'invalid_argument',
  NOT_A_FILE: 'invalid_argument',
  UNAUTHENTICATED: 'unauthenticated',
  FORBIDDEN: 'permission_denied',
  FILE_ACCESS_DENIED: 'permission_denied',
  NOT_FOUND: 'not_found',
  FILE_NOT_FOUND: 'not_found',
  FILE_EXISTS: 'already_exists',
  FILE_TIMEOUT: 'deadline_exceeded',
  FILE_TOO_LARGE: 'failed_precondition',
  PRECONDITION_FAILED: 'failed_precondition',
  INPUT_CLOSED: 'failed_precondition',
  INPUT_OUT_OF_ORDER: 'aborted',
  INPUT_LIMIT: 'resource_exhausted',
  CONTEXT_LIMIT: 'resource_exhausted',
  QUOTA_EXCEEDED: 'resource_exhausted',
  QUEUE_FULL: 'resource_exhausted',
  FILES_BUSY: 'resource_exhausted',
  FILES_UNAVAILABLE: 'unavailable',
  DATABASE_UNAVAILABLE: 'unavailable',
  SHUTTING_DOWN: 'unavailable',
};

/**
 * Returns the error that means "the sandbox has ended", if the session has ended and the error was expected. A call in
 * an ended session may have failed with any expected error, such as "not found". Null: the session has not ended, or
 * the error is unexpected.
 */
export async function goneOf(
  { hasEnded }: Pick<SandboxCall, 'hasEnded'>,
  error: unknown,
): Promise<DomainError | null> {
  const isExpected = error instanceof DomainError || error instanceof RpcError;
  if (!isExpected || !(await hasEnded())) return null;
  if (error instanceof DomainError) return error;
  return new DomainError('SESSION_ENDED', 'The session has ended.', {}, { cause: error });
}

/** The error for the caller. An unexpected error is logged and masked. */
export function rpcErrorOf(
  error: unknown,
  { logger, newErrorId }: Pick<DoorDeps, 'logger' | 'newErrorId'>,
): RpcError {
  if (error instanceof RpcError) return error;
  if (error instanceof DomainError) {
    return new RpcError(CODES[error.code] ?? 'internal', error.message, { cause: error });
  }
  const errorId = newErrorId();
  logger.error({ err: error, errorId, door: 'e2b' }, 'Answering a call of envd failed.');
  return new RpcError('internal', `Internal error (${errorId}).`, { cause: error });
}

/** The only user of a worker that a caller may name. */
const USER = 'user';

/**
 * Callers may name the user for whom they act, as the name of HTTP's Basic authentication.
 * @param authorization the header
 * @throws RpcError `unauthenticated` for any other user than the worker's
 */
export function requireUser(authorization: string | undefined): void {
  const [, encoded] = /^basic +(\S*)$/i.exec(authorization ?? '') ?? [];
  if (encoded === undefined) return;
  const [name = ''] = Buffer.from(encoded, 'base64').toString('utf8').split(':', 1);
  if (!isUser(name)) throw new RpcError('unauthenticated', 'invalid username');
}

/** Whether this is the worker's user, or no name was given. */
export function isUser(name: string | null): boolean {
  return name === null || name === '' || name === USER;
}

// The type of envd's methods, which `routes.ts` lists.

export type RpcMethod = Unary | ServerStream;

/** One message in, one message out. */
export interface Unary {
  readonly kind: 'unary';
  /** @throws RpcError, DomainError */
  handle(call: SandboxCall, message: Fields): Promise<object>;
}

/** One message in, any number of messages out. */
export interface ServerStream {
  readonly kind: 'stream';
  /** The message to send when nothing was sent for a keepalive interval. The caller chooses the interval. */
  readonly keepalive: object;
  /**
   * The stream ends when this resolves. If this throws, the last frame has the error. If the session has ended by then,
   * the stream is cut off instead.
   * @throws RpcError, DomainError
   */
  handle(call: SandboxCall, message: Fields, out: RpcStream): Promise<void>;
}

/** The messages of an answer. Its headers are sent with the first of them, or with the end. */
export interface RpcStream {
  /** Resolves when the operating system has taken the message, or when `gone` is aborted. */
  send(message: object): Promise<void>;
  /** Aborted when no further message can be sent, for example because of the time limit. */
  readonly gone: AbortSignal;
  /** How long the caller waits for the end. After that, the stream ends with `deadline_exceeded`. Null: no limit. */
  readonly timeoutMs: number | null;
}

/** Methods by their names, such as `filesystem.Filesystem/Stat`. */
export type RpcMethods = Readonly<Record<string, RpcMethod>>;
