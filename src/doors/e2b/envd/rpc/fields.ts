/** Messages in the JSON of proto3 (https://protobuf.dev/programming-guides/json): a field that is absent has its default. */
import { type Fields, isFields } from '../../../shared/fields.ts';
import { RpcError } from './rpcError.ts';

/** The message in a body. @throws RpcError `invalid_argument` */
export function messageIn(body: Buffer): Fields {
  const value = parsed(body);
  if (isFields(value)) return value;
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
  if (value === null || isFields(value)) return value;
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
