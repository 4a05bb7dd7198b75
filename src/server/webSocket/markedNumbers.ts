/**
 * Whole numbers beyond doubles in the messages of graphql-ws, which writes them by `JSON.stringify`: that refuses a `bigint`, and
 * a replacer would be asked about every value of every message. So these numbers are given to it as marked text, and what it has
 * written gets the digits alone.
 */
import { randomUUID } from 'node:crypto';
import { holds, isBigInt } from '../../domain/exactJson.ts';

export interface MarkedNumbers {
  /** The same, with each `bigint` as marked text. */
  marked<T>(value: T): T;
  /** A message with the digits in place of what was marked. */
  unmarked(message: string): string;
}

export function createMarkedNumbers(): MarkedNumbers {
  // It never leaves this process, so no text of a user's has it.
  const mark = randomUUID();
  const markedText = new RegExp(`"${mark}(-?\\d+)"`, 'g');
  const asText = (_key: string, value: unknown) => (isBigInt(value) ? `${mark}${value}` : value);
  return {
    marked: (value) => (holds(value, isBigInt) ? JSON.parse(JSON.stringify(value, asText)) : value),
    unmarked: (message) => (message.includes(mark) ? message.replace(markedText, '$1') : message),
  };
}
