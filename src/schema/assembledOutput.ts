/** What the convenience fields of `Execution` make of its outputs. Pure. */

import type { OutputItem, RichOutput } from '../domain/output.ts';
import type { PythonError } from './executionError.ts';
import { renderedText } from './renderedText.ts';

/** All text of one stream, joined. */
export function streamText(items: readonly OutputItem[], name: 'stdout' | 'stderr'): string {
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
export function resultText(items: readonly OutputItem[]): string | null {
  const result = lastValue(items, 'text/plain', ['result']);
  return streamText(items, 'stdout') + (result ?? '') || null;
}

/** The last PNG that was a result, displayed or updated, as base64 without line breaks. */
export function resultBase64(items: readonly OutputItem[]): string | null {
  return (
    lastValue(items, 'image/png', ['result', 'display', 'update'])?.replace(/\s+/g, '') ?? null
  );
}

/** The last exception. */
export function lastError(items: readonly OutputItem[]): PythonError | null {
  const item = items.findLast(({ output }) => output.kind === 'error');
  return item?.output.kind === 'error' ? item.output : null;
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
