/**
 * Lets graphql-ws send whole numbers that doubles cannot hold. It writes messages with `JSON.stringify`, which refuses
 * a `bigint`, and a replacer would be called for every value of every message. So each `bigint` becomes a string with a
 * mark before the digits, and in the written message each marked string is replaced with its digits.
 */
import { randomUUID } from 'node:crypto';
import { holds, isBigInt } from '../../domain/exactJson.ts';

export interface MarkedNumbers {
  /** The same value, with each `bigint` as a marked string. */
  marked<T>(value: T): T;
  /** The message, with each marked string replaced with its digits. */
  unmarked(message: string): string;
}

export function createMarkedNumbers(): MarkedNumbers {
  // The mark never leaves this process, so no user's text contains it.
  const mark = randomUUID();
  const markedText = new RegExp(`"${mark}(-?\\d+)"`, 'g');
  const asText = (_key: string, value: unknown) => (isBigInt(value) ? `${mark}${value}` : value);
  return {
    marked: (value) => (holds(value, isBigInt) ? JSON.parse(JSON.stringify(value, asText)) : value),
    unmarked: (message) => (message.includes(mark) ? message.replace(markedText, '$1') : message),
  };
}
