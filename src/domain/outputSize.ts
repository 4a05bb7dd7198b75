import { jsonText } from './exactJson.ts';
import type { Finish, Output } from './output.ts';
import type { ExpressionResult } from './userExpressions.ts';

/**
 * What each output costs in addition to its content, as a row and in memory (measured: 280 bytes). It makes tiny
 * outputs count, too.
 */
export const ITEM_OVERHEAD_BYTES = 256;

/**
 * The size of an output in bytes, as an estimate: the exact size would cost another serialisation of every output. Text
 * counts as one byte for each UTF-16 unit. Text beyond Latin-1 takes twice that in memory.
 */
export function outputSize(output: Output | Finish): number {
  return ITEM_OVERHEAD_BYTES + contentSize(output);
}

function contentSize(output: Output | Finish): number {
  switch (output.kind) {
    case 'stream':
      return output.text.length + (output.base64?.length ?? 0);
    case 'error':
      return output.value.length + output.traceback.reduce((sum, line) => sum + line.length, 0);
    case 'result':
    case 'display':
    case 'update':
      return sizeOfValues(output.data) + sizeOfValues(output.metadata);
    case 'expressions':
      return Object.entries(output.results).reduce(
        (sum, [name, result]) => sum + name.length + resultSize(result),
        0,
      );
    case 'input':
      return output.prompt.length;
    case 'clear':
    case 'gap':
    case 'finish':
      return 0;
    default:
      return output satisfies never;
  }
}

function resultSize(result: ExpressionResult): number {
  return result.status === 'ok'
    ? sizeOfValues(result.data) + sizeOfValues(result.metadata)
    : contentSize({ kind: 'error', ...result });
}

function sizeOfValues(bundle: Readonly<Record<string, unknown>>): number {
  return Object.values(bundle).reduce<number>((sum, value) => sum + roughSize(value), 0);
}

function roughSize(value: unknown): number {
  return typeof value === 'string' ? value.length : jsonText(value).length;
}
