import { FIGURES, type FigureName, type Look } from './figures.ts';

const CELL_CHARS = 12;
const NAMES = Object.keys(FIGURES) as FigureName[];

/** The head of a table that shows the looks while the bench runs: the figures' names, after `first`. */
export function headRow(first: string): string {
  return cells([first, ...NAMES]);
}

export function lookRow(first: string, look: Look): string {
  return cells([first, ...NAMES.map((name) => look[name].toFixed(1))]);
}

function cells(row: readonly string[]): string {
  return row.map((cell) => cell.padStart(CELL_CHARS)).join('');
}
