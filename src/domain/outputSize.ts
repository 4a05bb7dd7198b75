import { jsonText } from './exactJson.ts';
import type { Finish, Output } from './output.ts';

/** What each costs beside its content, as a row and in memory (measured: 280 bytes): a flood of tiny ones must count, too. */
export const ITEM_OVERHEAD_BYTES = 256;

/**
 * Roughly its bytes. An estimate: exact ones would cost another serialisation of every output. Text counts one for each
 * UTF-16 unit, which is half of its memory where it goes beyond Latin-1.
 */
export function outputSize(output: Output | Finish): number {
  return ITEM_OVERHEAD_BYTES + contentSize(output);
}

function contentSize(output: Output | Finish): number {
  switch (output.kind) {
    case 'stream':
      return output.text.length;
    case 'error':
      return output.value.length + output.traceback.reduce((sum, line) => sum + line.length, 0);
    case 'result':
    case 'display':
    case 'update':
      return sizeOfValues(output.data) + sizeOfValues(output.metadata);
    case 'clear':
    case 'gap':
    case 'finish':
      return 0;
    default:
      return output satisfies never;
  }
}

function sizeOfValues(bundle: Readonly<Record<string, unknown>>): number {
  return Object.values(bundle).reduce<number>((sum, value) => sum + roughSize(value), 0);
}

function roughSize(value: unknown): number {
  return typeof value === 'string' ? value.length : jsonText(value).length;
}
