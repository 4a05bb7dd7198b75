import { DomainError } from '../../../domain/errors.ts';
import type { DoorCall } from '../../openDoor.ts';
import { type Fields, isFields } from '../wire/message.ts';

/** The JSON object in the body. Clients also send none. @throws BAD_USER_INPUT */
export async function bodyOf(call: DoorCall): Promise<Fields> {
  const text = await call.readBody();
  if (text.trim() === '') return {};
  const value = parsed(text);
  if (value === null) return {};
  if (!isFields(value)) throw bad('The body must be a JSON object.');
  return value;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause: unknown) {
    throw bad('Invalid JSON in body of request', { cause });
  }
}

/** @throws BAD_USER_INPUT unless it is text, or absent */
export function textOf(body: Fields, name: string): string | null {
  const value = body[name] ?? null;
  if (value === null || typeof value === 'string') return value;
  throw bad(`${name} must be a string.`);
}

/** @throws BAD_USER_INPUT unless it is an object, or absent */
export function objectOf(body: Fields, name: string): Fields {
  const value = body[name] ?? {};
  if (isFields(value)) return value;
  throw bad(`${name} must be an object.`);
}

export function bad(message: string, options?: ErrorOptions): DomainError {
  return new DomainError('BAD_USER_INPUT', message, {}, options);
}
