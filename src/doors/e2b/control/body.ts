/** Reads the bodies of the API. What is undefined or null was not asked for: SDKs send either. */
import { DomainError } from '../../../domain/errors.ts';
import type { DoorCall } from '../../openDoor.ts';

export type Fields = Readonly<Record<string, unknown>>;

/** The JSON object in the body. Empty if there is no body. @throws BAD_USER_INPUT */
export async function bodyOf(call: Pick<DoorCall, 'readBody'>): Promise<Fields> {
  const text = await call.readBody();
  if (text.trim() === '') return {};
  const value = parsed(text) ?? {};
  return isFields(value) ? value : refuse('The body must be a JSON object.');
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause: unknown) {
    throw new DomainError('BAD_USER_INPUT', 'The body must be JSON.', {}, { cause });
  }
}

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
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
