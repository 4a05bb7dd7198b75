import { DomainError } from '../../../domain/errors.ts';
import type { DoorCall } from '../../openDoor.ts';
import { type Fields, fieldsInBody, isFields } from '../../shared/fields.ts';

/** The JSON object in the body. @throws BAD_USER_INPUT */
export function bodyOf(call: DoorCall): Promise<Fields> {
  return fieldsInBody(call, 'Invalid JSON in body of request');
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
