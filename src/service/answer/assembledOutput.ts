/** Texts that are assembled from an execution's outputs. Pure. */
import type { Execution } from '../../domain/execution.ts';
import { mimeText, type OutputItem, type RichOutput } from '../../domain/output.ts';
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
  /** stdout as a terminal would show it. */
  readonly stdoutRendered: string;
  readonly resultText: string | null;
  readonly resultBase64: string | null;
}

/** The function that makes each text. */
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

/** The same text as a person would see it: text before a `clear_output` is gone, and a progress bar is one line. */
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

/** stdout, directly followed by the text/plain of the last result. Null if both are empty. */
function resultText(items: readonly OutputItem[]): string | null {
  const result = lastValue(items, 'text/plain', ['result']);
  return streamText(items, 'stdout') + (result ?? '') || null;
}

/** The last PNG among results, displays and updates, as base64 without line breaks. */
function resultBase64(items: readonly OutputItem[]): string | null {
  return (
    lastValue(items, 'image/png', ['result', 'display', 'update'])?.replace(/\s+/g, '') ?? null
  );
}

/**
 * The last exception. If the outputs were pruned, the name and the shortened message that the execution's row keeps.
 */
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
    const value = mimeText(output.data[mimeType]);
    if (value !== null) return value;
  }
  return null;
}
