/** Texts to be looked for afterwards. */
import { randomBytes } from 'node:crypto';
import type { Output } from '../../src/domain/output.ts';

/** Makes a text and remembers it. */
export type Mark = (what: string) => string;

/** A text that is nowhere else. */
export const newMark = (what: string) => `zq${what}${randomBytes(6).toString('hex')}`;

/** Two of them, because PostgreSQL's statistics have no value of a table with a single row. */
export const variablesWith = (mark: Mark) => ({
  [mark('variable')]: mark('value'),
  [mark('variable')]: mark('value'),
});

/** Outputs of each kind. */
export function outputsWith(mark: Mark): Output[] {
  return [
    { kind: 'stream', name: 'stdout', text: `\u0000${mark('text')}` },
    {
      kind: 'display',
      data: { [mark('mime')]: { deep: [mark('display')] } },
      metadata: { a: mark('outputMetadata') },
      displayId: mark('displayId'),
      executionCount: null,
    },
    { kind: 'input', prompt: mark('prompt'), password: false },
    { kind: 'error', name: mark('errorName'), value: mark('value'), traceback: [mark('trace')] },
  ];
}
