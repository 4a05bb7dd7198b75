/** Messages in the JSON of proto3 (https://protobuf.dev/programming-guides/json): a field that is absent has its default. */

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

/** A boolean. Null by default: some fields tell absent from false. @throws RpcError `invalid_argument` */
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
/** The frame is the last one, and tells how the stream ended. */
const END = 0x02;

/** A message as a frame. */
export function messageFrame(message: object): Buffer {
  return frame(0, message);
}

/** The last frame. @param error null: the stream ended well */
export function endFrame(error: RpcError | null): Buffer {
  return frame(END, error ? { error: errorBody(error) } : {});
}

/** An error as callers get it: in the last frame, or as the body of a unary answer. */
export function errorBody({ code, message }: RpcError): object {
  return { code, message };
}

/**
 * The JSON in the one frame of a request.
 * @throws RpcError `invalid_argument` unless it is exactly one whole frame; `unimplemented` if it is compressed
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

/** Each code, and the status of a unary answer that has it. */
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

/** A call of a method fails so. The caller gets the message unchanged. */
export class RpcError extends Error {
  readonly code: RpcCode;
  constructor(code: RpcCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'RpcError';
    this.code = code;
  }
}

/**
 * The code of each error. Codes that are not here are defects: `internal`. So is a full disk: `resource_exhausted` would
 * say that the caller asks too often.
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
 * The error of a call whose session has ended: then the answer is that of a sandbox that is gone, also if the call only
 * found nothing. Null: the session has not ended, or nobody expected the error.
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

/** What the caller is told of an error. One that nobody expected is logged, and masked. */
export function rpcErrorOf(
  error: unknown,
  { logger, newId }: Pick<DoorDeps, 'logger' | 'newId'>,
): RpcError {
  if (error instanceof RpcError) return error;
  if (error instanceof DomainError) {
    return new RpcError(CODES[error.code] ?? 'internal', error.message, { cause: error });
  }
  const newErrorId: () => string = newId;
  const errorId = newErrorId();
  logger.error({ err: error, errorId, door: 'e2b' }, 'Answering a call of envd failed.');
  return new RpcError('internal', `Internal error (${errorId}).`, { cause: error });
}

/** The only user of a worker for whom a caller can act. */
const USER = 'user';

/**
 * Callers may name the user that they act for, as the name of HTTP's Basic authentication.
 * @param authorization the header
 * @throws RpcError `unauthenticated` for any other user than the worker's
 */
export function requireUser(authorization: string | undefined): void {
  const [, encoded] = /^basic +(\S*)$/i.exec(authorization ?? '') ?? [];
  if (encoded === undefined) return;
  const [name = ''] = Buffer.from(encoded, 'base64').toString('utf8').split(':', 1);
  if (!isUser(name)) throw new RpcError('unauthenticated', 'invalid username');
}

/** Whether this is the worker's user, or nobody in particular. */
export function isUser(name: string | null): boolean {
  return name === null || name === '' || name === USER;
}

// What a method of envd is: a row of the table in `../routes.ts`.

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
  /** What is sent whenever nothing else was for as long as the caller asks. */
  readonly keepalive: object;
  /**
   * The stream ends when this resolves. If it throws, the final frame has the error. If the session has ended by then,
   * the stream is cut off instead.
   * @throws RpcError, DomainError
   */
  handle(call: SandboxCall, message: Fields, out: RpcStream): Promise<void>;
}

/** The messages of an answer. Its headers are sent with the first of them, or with the end. */
export interface RpcStream {
  /** Resolves when the operating system has taken the message, or never will: then `gone` is aborted. */
  send(message: object): Promise<void>;
  /** Aborted when nobody gets any further message, for whatever reason: the time limit is one. */
  readonly gone: AbortSignal;
  /** How long the caller waits for the end. The stream then ends by itself, with `deadline_exceeded`. Null: no limit. */
  readonly timeoutMs: number | null;
}

/** Methods by their names, such as `filesystem.Filesystem/Stat`. */
export type RpcMethods = Readonly<Record<string, RpcMethod>>;
