import type { Output } from '../output.ts';

/** How much of `MAX_OUTPUT_BYTES` an output's content takes: text as UTF-8, other values as JSON. */
export function outputBytes(output: Output): number {
  switch (output.kind) {
    case 'stream':
      return Buffer.byteLength(output.text);
    case 'result':
    case 'display':
    case 'update':
      return valuesBytes(output.data) + valuesBytes(output.metadata);
    case 'error':
      return output.traceback.reduce(
        (sum, line) => sum + Buffer.byteLength(line),
        Buffer.byteLength(output.name) + Buffer.byteLength(output.value),
      );
    case 'clear':
    case 'gap':
      return 0;
    default:
      return output satisfies never;
  }
}

function valuesBytes(values: Readonly<Record<string, unknown>>): number {
  let bytes = 0;
  for (const [key, value] of Object.entries(values))
    bytes +=
      key.length + Buffer.byteLength(typeof value === 'string' ? value : JSON.stringify(value));
  return bytes;
}
