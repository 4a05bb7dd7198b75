import { jsonText } from '../../domain/exactJson.ts';
import type { Output } from '../../domain/output.ts';
import type { ExpressionResult } from '../../domain/userExpressions.ts';

/**
 * How many bytes an output's content counts towards `MAX_OUTPUT_BYTES`: text as UTF-8, bytes as they are, other values
 * as JSON.
 */
export function outputBytes(output: Output): number {
  switch (output.kind) {
    case 'stream':
      return output.base64 === undefined
        ? Buffer.byteLength(output.text)
        : Buffer.byteLength(output.base64, 'base64');
    case 'result':
    case 'display':
    case 'update':
      return valuesBytes(output.data) + valuesBytes(output.metadata);
    case 'error':
      return output.traceback.reduce(
        (sum, line) => sum + Buffer.byteLength(line),
        Buffer.byteLength(output.name) + Buffer.byteLength(output.value),
      );
    case 'expressions':
      return Object.entries(output.results).reduce(
        (sum, [name, result]) => sum + Buffer.byteLength(name) + resultBytes(result),
        0,
      );
    case 'input':
      return Buffer.byteLength(output.prompt);
    case 'clear':
    case 'gap':
      return 0;
    default:
      return output satisfies never;
  }
}

function resultBytes(result: ExpressionResult): number {
  return result.status === 'ok'
    ? valuesBytes(result.data) + valuesBytes(result.metadata)
    : outputBytes({ kind: 'error', ...result });
}

function valuesBytes(values: Readonly<Record<string, unknown>>): number {
  let bytes = 0;
  for (const [key, value] of Object.entries(values))
    bytes += key.length + Buffer.byteLength(typeof value === 'string' ? value : jsonText(value));
  return bytes;
}

/**
 * How many bytes each output, and each value nested in it, counts in addition to its content. This is about what a row
 * in the database or an object in memory takes.
 */
export const BYTES_PER_ITEM = 64;

/** How many values an output holds once it is parsed: itself, and each value in the lists and objects of its data. */
export function outputItems(output: Output): number {
  if (output.kind === 'expressions') {
    const results = Object.values(output.results);
    return results.reduce((sum, result) => sum + 1 + itemsOf(result), 1);
  }
  return 1 + itemsOf(output);
}

function itemsOf(output: Output | ExpressionResult): number {
  if (!('data' in output)) return 0;
  return nestedValues(output.data) + nestedValues(output.metadata);
}

/** Counts values nested in lists and objects. The text of a MIME type itself does not count. */
function nestedValues(values: Readonly<Record<string, unknown>>): number {
  return Object.values(values).reduce<number>((sum, value) => sum + countWithin(value), 0);
}

/** The recursion is safe, because the depth was checked on arrival. */
function countWithin(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  let count = 0;
  for (const child of Array.isArray(value) ? value : Object.values(value))
    count += 1 + countWithin(child);
  return count;
}
