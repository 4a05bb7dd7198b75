/**
 * Reads JSON that clients send. Each route has a schema. The messages of the schema say what a field must be. Undefined
 * and null both mean that a field is absent, because SDKs send either.
 */
import { z } from 'zod';
import { DomainError } from '../../domain/errors.ts';
import { isJsonObject, type JsonObject } from '../../domain/exactJson.ts';
import type { DoorCall } from '../openDoor.ts';

/** Objects of JSON that clients send. */
export type Fields = JsonObject;

/**
 * A body that does not fit the schema of its route. A door without its own form for this error answers BAD_USER_INPUT.
 */
export class BodyError extends DomainError {
  /** Empty: the body is not JSON. */
  readonly issues: readonly z.core.$ZodIssue[];
  /** The parsed body. Undefined: the body is empty, or not JSON. */
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

/** The parsed text. Undefined: the text is blank. @throws BodyError */
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

/** An object that may be absent, because clients that ask for nothing send no body at all. */
export function optionalBody<Shape extends z.ZodRawShape>(shape: Shape) {
  return z.preprocess((body) => body ?? {}, z.object(shape, 'must be a JSON object.'));
}

/**
 * An object of strings. Its check finds at most one issue, and does not copy the object. With an issue for each wrong
 * value, zod would take a gigabyte of memory for a body of ten megabytes.
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
