/**
 * What clients send as input. It follows from the key of the execution alone, so the checker knows what the code must
 * have read, and whose a line is. A letter of two bytes may be cut in two.
 */
import type { CellKind } from '../history.ts';

export const INPUT_LINES = 12;
/** The cell asks for every so many-th line as for a password, so that this line may be kept as a secret for a while. */
export const PASSWORD_EVERY = 4;

/** Any line of input, to be found where none must be. */
export const INPUT_LINE = /^<\S+ \d+ ä>$/m;

/** All input of the execution with this key: numbered lines. */
export function inputTextOf(key: string): string {
  return Array.from({ length: INPUT_LINES }, (_, line) => `<${key} ${line} ä>\n`).join('');
}

/** Whether code of this kind reads the lines and prints each: a cell all of them, a command until its input ends. */
export function readsInput(kind: CellKind | null): boolean {
  return kind === 'input' || kind === 'shell-input';
}
