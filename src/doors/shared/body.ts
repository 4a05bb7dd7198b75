/**
 * Reads JSON that clients send. Each route has a schema, which also says what a field must be. What is undefined or null
 * was not asked for: SDKs send either.
 */
import { z } from 'zod';
import { DomainError } from '../../domain/errors.ts';
import { isJsonObject, type JsonObject } from '../../domain/exactJson.ts';
import type { DoorCall } from '../openDoor.ts';

/** Objects of JSON that clients send. */
export type Fields = JsonObject;

/** A body that is not as its route needs it. A wire with no form of its own for this refuses it as BAD_USER_INPUT. */
export class BodyError extends DomainError {
  /** Empty: it is no JSON. */
  readonly issues: readonly z.core.$ZodIssue[];
  /** Undefined: there is nothing in it. */
  readonly body: unknown;

  constructor(message: string, issues: BodyError['issues'], body?: unknown) {
    super('BAD_USER_INPUT', message, {});
    this.name = 'BodyError';
    this.issues = issues;
    this.body = body;
  }
}

/** @throws BodyError */
export async function readJson<Schema extends z.ZodType>(
  { readBody }: Pick<DoorCall, 'readBody'>,
  schema: Schema,
): Promise<z.output<Schema>> {
  return checked(jsonIn(await readBody()), schema);
}

/** Undefined: there is nothing in the text. @throws BodyError */
export function jsonIn(text: string): unknown {
  if (text.trim() === '') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    throw new BodyError('The body must be JSON.', []);
  }
}

/** @throws BodyError whose message names a field, and says what it must be */
export function checked<Schema extends z.ZodType>(body: unknown, schema: Schema) {
  const read = schema.safeParse(body);
  if (read.success) return read.data;
  const { issues } = read.error;
  const [first] = issues;
  throw new BodyError(`${first?.path.join('.') || 'The body'} ${first?.message}`, issues, body);
}

/** An object that may also be left out: clients send no body at all if they ask for nothing. */
export function optionalBody<Shape extends z.ZodRawShape>(shape: Shape) {
  return z.preprocess((body) => body ?? {}, z.object(shape, 'must be a JSON object.'));
}

/**
 * An object of strings. It has one issue at most, and is not copied: with one for each string that is none, zod would
 * take a gigabyte for a body of ten megabytes.
 */
export function texts(message: string) {
  return z
    .custom<Readonly<Record<string, string>>>(
      (value) =>
        isJsonObject(value) && Object.values(value).every((text) => typeof text === 'string'),
      message,
    )
    .nullish();
}
