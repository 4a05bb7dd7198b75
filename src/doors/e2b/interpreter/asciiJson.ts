import { jsonText } from '../../../domain/exactJson.ts';

/** What is not ASCII, and DEL. */
const NOT_ASCII = /[\u007f-\uffff]/g;

/**
 * A value as JSON in ASCII alone. The JavaScript client decodes each chunk of a stream by itself, and the Python client
 * ends lines at U+2028 and its like, too: neither meets anything but ASCII here.
 */
export function asciiJson(value: unknown): string {
  return jsonText(value).replace(
    NOT_ASCII,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
