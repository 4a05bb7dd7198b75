import type { ErrorFacts } from './messages.ts';

/** Longest exception class name kept: real ones are a few dozen characters. */
const MAX_ERROR_NAME_CHARS = 1_000;
/** Longest exception text kept; a megabyte holds any message a person may want to read. */
const MAX_ERROR_VALUE_CHARS = 1_048_576;
/** Most traceback text kept, over all lines. IPython itself shortens deep recursions to far less. */
const MAX_TRACEBACK_CHARS = 4_194_304;
/** Most traceback entries kept. IPython sends one for each stack frame. */
const MAX_TRACEBACK_LINES = 10_000;

const UNNAMED_ERROR = 'UnknownError';

/**
 * The error in the content of an `error` or `execute_reply` message, cut to bounds. Parts that are missing or have a
 * wrong type become empty: it matters more that there was an error than what it looked like.
 */
export function readErrorFacts(content: Readonly<Record<string, unknown>>): ErrorFacts {
  const { ename, evalue, traceback } = content;
  const name = typeof ename === 'string' ? cutText(ename, MAX_ERROR_NAME_CHARS) : '';
  return {
    name: name === '' ? UNNAMED_ERROR : name,
    value: typeof evalue === 'string' ? cutText(evalue, MAX_ERROR_VALUE_CHARS) : '',
    traceback: Array.isArray(traceback) ? cutLines(traceback) : [],
  };
}

function cutLines(lines: readonly unknown[]): string[] {
  const kept: string[] = [];
  let left = MAX_TRACEBACK_CHARS;
  for (const line of lines) {
    if (typeof line !== 'string') continue;
    if (kept.length >= MAX_TRACEBACK_LINES || left <= 0) break;
    kept.push(cutText(line, left));
    left -= line.length;
  }
  return kept;
}

/** The first `maxChars` UTF-16 units of `text`, without splitting a surrogate pair, and a note of how much was cut. */
export function cutText(text: string, maxChars: number): string {
  if (text.length <= maxChars) return text;
  const end = isHighSurrogate(text.charCodeAt(maxChars - 1)) ? maxChars - 1 : maxChars;
  return `${text.slice(0, end)}… [${text.length - end} more characters]`;
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}
