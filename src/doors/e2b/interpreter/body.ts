/** Reads the body of a request: a JSON object. The Python client sends null for what it leaves out. */
import type { DoorCall } from '../../openDoor.ts';
import { type Fields, isFields } from '../../shared/fields.ts';

/** A body that cannot be understood. It is answered with 422. */
export class UnprocessableError extends Error {
  /** Null: the body as a whole. */
  readonly field: string | null;

  constructor(field: string | null, message: string) {
    super(message);
    this.name = 'UnprocessableError';
    this.field = field;
  }
}

/** @throws UnprocessableError */
export async function readObject({ readBody }: Pick<DoorCall, 'readBody'>): Promise<Fields> {
  const value = parsed(await readBody());
  if (!isFields(value)) throw new UnprocessableError(null, 'The body should be a JSON object');
  return value;
}

/** Null: it is absent, null, or empty. @throws UnprocessableError unless it is text then */
export function textIn(body: Fields, field: string): string | null {
  const value = body[field] ?? null;
  if (value === null || value === '') return null;
  if (typeof value === 'string') return value;
  throw new UnprocessableError(field, 'Input should be a valid string');
}

/** @throws UnprocessableError unless it is an object whose values are text, or absent */
export function textsIn(body: Fields, field: string): Readonly<Record<string, string>> {
  const value = body[field] ?? {};
  if (isFields(value) && Object.values(value).every((text) => typeof text === 'string'))
    return value as Readonly<Record<string, string>>;
  throw new UnprocessableError(field, 'Input should be a dictionary of strings');
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new UnprocessableError(null, 'The body should be valid JSON');
  }
}
