/** What an execution's outputs amount to. Pure. */
import type { Execution } from '../../domain/execution.ts';
import type { OutputItem, RichOutput } from '../../domain/output.ts';
import { renderedText } from './renderedText.ts';

/** A Python exception, as data. */
export interface PythonError {
  readonly name: string;
  readonly value: string;
  readonly traceback: readonly string[];
}

export interface Assembled {
  readonly stdout: string;
  readonly stderr: string;
  /** stdout as a terminal shows it. */
  readonly stdoutRendered: string;
  readonly resultText: string | null;
  readonly resultBase64: string | null;
}

/** How each is made. */
export const ASSEMBLED: {
  readonly [Name in keyof Assembled]: (items: readonly OutputItem[]) => Assembled[Name];
} = {
  stdout: (items) => streamText(items, 'stdout'),
  stderr: (items) => streamText(items, 'stderr'),
  stdoutRendered: (items) => shownText(items, 'stdout'),
  resultText,
  resultBase64,
};

/** All text of one stream, joined. */
function streamText(items: readonly OutputItem[], name: 'stdout' | 'stderr'): string {
  let text = '';
  for (const { output } of items)
    if (output.kind === 'stream' && output.name === name) text += output.text;
  return text;
}

/** The same as a person would see it: what `clear_output` cleared is gone, and progress bars are one line. */
export function shownText(items: readonly OutputItem[], name: 'stdout' | 'stderr'): string {
  let text = '';
  let isClearedNext = false;
  for (const { output } of items) {
    if (output.kind === 'finish') continue;
    if (isClearedNext || (output.kind === 'clear' && !output.wait)) text = '';
    isClearedNext = output.kind === 'clear' && output.wait;
    if (output.kind === 'stream' && output.name === name) text += output.text;
  }
  return renderedText(text);
}

/** stdout, then the last result's text/plain, nothing between; null if both are empty. */
function resultText(items: readonly OutputItem[]): string | null {
  const result = lastValue(items, 'text/plain', ['result']);
  return streamText(items, 'stdout') + (result ?? '') || null;
}

/** The last PNG that was a result, displayed or updated, as base64 without line breaks. */
function resultBase64(items: readonly OutputItem[]): string | null {
  return (
    lastValue(items, 'image/png', ['result', 'display', 'update'])?.replace(/\s+/g, '') ?? null
  );
}

/** The last exception; of an execution whose outputs were pruned what its row keeps of it. */
export function errorOf(
  { errorName, errorValue }: Execution,
  items: readonly OutputItem[],
): PythonError {
  const item = items.findLast(({ output }) => output.kind === 'error');
  if (item?.output.kind === 'error') return item.output;
  return { name: errorName ?? 'Error', value: errorValue ?? '', traceback: [] };
}

function lastValue(
  items: readonly OutputItem[],
  mimeType: string,
  kinds: readonly RichOutput['kind'][],
): string | null {
  for (const { output } of items.toReversed()) {
    if (!('data' in output) || !kinds.includes(output.kind)) continue;
    const value = textOf(output.data[mimeType]);
    if (value !== null) return value;
  }
  return null;
}

/** Jupyter allows a text to come as a list of lines. */
function textOf(value: unknown): string | null {
  if (typeof value === 'string') return value;
  if (Array.isArray(value) && value.every((line) => typeof line === 'string'))
    return value.join('');
  return null;
}
