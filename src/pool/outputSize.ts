import type { Finish, Output } from '../output.ts';

/** What holds nothing still takes a row, and memory: a flood of these must count, too. */
const EMPTY_OUTPUT_BYTES = 64;

/** Roughly its bytes. An estimate: exact ones would cost another serialisation of every output. */
export function outputSize(output: Output | Finish): number {
  switch (output.kind) {
    case 'stream':
      return output.text.length;
    case 'error':
      return output.value.length + output.traceback.reduce((sum, line) => sum + line.length, 0);
    case 'result':
    case 'display':
    case 'update':
      return Object.values(output.data).reduce<number>((sum, value) => sum + roughSize(value), 0);
    case 'clear':
    case 'gap':
    case 'finish':
      return EMPTY_OUTPUT_BYTES;
    default:
      return output satisfies never;
  }
}

function roughSize(value: unknown): number {
  return typeof value === 'string' ? value.length : (JSON.stringify(value)?.length ?? 0);
}
