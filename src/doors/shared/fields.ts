/** Objects of JSON that clients send. */
import { DomainError } from '../../domain/errors.ts';
import type { DoorCall } from '../openDoor.ts';

export type Fields = Readonly<Record<string, unknown>>;

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * The object in the body. Empty if there is no body: clients also send none.
 * @param notJson what is said of a body that is no JSON
 * @throws BAD_USER_INPUT
 */
export async function fieldsInBody(
  { readBody }: Pick<DoorCall, 'readBody'>,
  notJson: string,
): Promise<Fields> {
  const text = await readBody();
  if (text.trim() === '') return {};
  const value = parsed(text, notJson) ?? {};
  if (isFields(value)) return value;
  throw new DomainError('BAD_USER_INPUT', 'The body must be a JSON object.', {});
}

function parsed(text: string, notJson: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause: unknown) {
    throw new DomainError('BAD_USER_INPUT', notJson, {}, { cause });
  }
}
