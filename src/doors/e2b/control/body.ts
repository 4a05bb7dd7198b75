/** Reads the bodies of the API. What is undefined or null was not asked for: SDKs send either. */
import { DomainError } from '../../../domain/errors.ts';
import type { DoorCall } from '../../openDoor.ts';
import { type Fields, fieldsInBody, isFields } from '../../shared/fields.ts';

/** The JSON object in the body. Empty if there is no body. @throws BAD_USER_INPUT */
export function bodyOf(call: Pick<DoorCall, 'readBody'>): Promise<Fields> {
  return fieldsInBody(call, 'The body must be JSON.');
}

/** @throws BAD_USER_INPUT unless it is an object, or absent */
export function objectOf(name: string, value: unknown): Fields {
  if (value == null) return {};
  return isFields(value) ? value : refuse(`${name} must be an object.`);
}

/** @throws BAD_USER_INPUT unless it is an object of strings, or absent */
export function stringsOf(name: string, value: unknown): Readonly<Record<string, string>> {
  const fields = objectOf(name, value);
  if (Object.values(fields).every((each) => typeof each === 'string'))
    return fields as Readonly<Record<string, string>>;
  return refuse(`${name} must be an object of strings.`);
}

/** @throws BAD_USER_INPUT unless it is an array of strings, or absent */
export function listOf(name: string, value: unknown): readonly string[] {
  if (value == null) return [];
  if (Array.isArray(value) && value.every((each) => typeof each === 'string')) return value;
  return refuse(`${name} must be an array of strings.`);
}

/** @throws BAD_USER_INPUT unless it is true or false, or absent */
export function isSet(name: string, value: unknown): boolean {
  if (value == null) return false;
  return typeof value === 'boolean' ? value : refuse(`${name} must be true or false.`);
}

export function refuse(message: string): never {
  throw new DomainError('BAD_USER_INPUT', message, {});
}
