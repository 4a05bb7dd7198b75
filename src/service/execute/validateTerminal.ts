import type { Terminal } from '../../domain/executionOptions.ts';
import { validateWholeNumber } from '../validate.ts';

/** Linux keeps each in 16 bits. */
const MAX_CELLS = 65_535;

/** @param within the prefix of the field names in messages @throws BAD_USER_INPUT */
export function validateTerminal({ columns, rows }: Terminal, within = ''): Terminal {
  const range = { min: 1, max: MAX_CELLS };
  return {
    columns: validateWholeNumber(`${within}columns`, columns, range),
    rows: validateWholeNumber(`${within}rows`, rows, range),
  };
}
