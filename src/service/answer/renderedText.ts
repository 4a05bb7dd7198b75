/**
 * Text as a terminal would show it: a progress bar that was drawn a hundred times is one line. It understands carriage
 * return, backspace, and two sequences of ECMA-48 that tqdm and pip use: "cursor up" and "erase in line". All other
 * escape sequences, such as colours, are removed. Lines do not wrap. Pure.
 */
import { DomainError } from '../../domain/errors.ts';
import type { Execution } from '../../domain/execution.ts';
import { mimeText, type OutputItem, type RichOutput } from '../../domain/output.ts';
import { quoted } from '../../domain/text.ts';
import { validateNumber } from '../validate.ts';

// Texts that are assembled from an execution's outputs. Pure.

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

/**
 * The text of one stream as a person would see it: text before a `clear_output` is gone, and a progress bar is one
 * line.
 */
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

/**
 * The escape sequences of ECMA-48: ESC [ parameters, intermediate and final byte; ESC ] text BEL (or ESC \); ESC,
 * intermediate bytes and a final byte. A sequence that is cut off by the end of the line counts as complete.
 */
const SEQUENCE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
  /\u001b(?:\[([0-?]*)[ -/]*([@-~]|$)|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[ -/]*(?:[0-~]|$))/y;
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const NEEDS_CARE = /[\r\b\u001b]/;

/** Drawing this many characters takes some 25 ms and 11 MB, and one GraphQL document can ask for many drawings. */
const MAX_DRAWN_CHARS = 1_048_576;

/**
 * @throws DomainError BAD_USER_INPUT if a text with control sequences has more than MAX_DRAWN_CHARS. Plain text may
 * have any length.
 */
export function renderedText(text: string): string {
  if (!NEEDS_CARE.test(text)) return text;
  if (text.length > MAX_DRAWN_CHARS) {
    throw new DomainError(
      'BAD_USER_INPUT',
      `The text has ${text.length} characters and contains control sequences. Such a text is rendered only if it has at most ${MAX_DRAWN_CHARS} characters. Ask for \`stdout\` instead.`,
      { limit: MAX_DRAWN_CHARS },
    );
  }
  const screen = createScreen();
  for (const [index, line] of text.split('\n').entries()) {
    if (index > 0) screen.newLine();
    if (NEEDS_CARE.test(line)) drawLine(screen, line);
    else screen.write(line);
  }
  return screen.text();
}

type Screen = ReturnType<typeof createScreen>;

function drawLine(screen: Screen, line: string): void {
  let start = 0;
  for (let at = 0; at < line.length; ) {
    const char = line[at];
    if (char !== '\r' && char !== '\b' && char !== '\u001b') {
      at += 1;
      continue;
    }
    screen.write(line.slice(start, at));
    at += control(screen, line, at);
    start = at;
  }
  screen.write(line.slice(start));
}

/** Carries out the control character or sequence at `at`, and returns its length. */
function control(screen: Screen, line: string, at: number): number {
  if (line[at] === '\r') screen.moveTo(0);
  else if (line[at] === '\b') screen.moveBy(-1);
  else {
    SEQUENCE.lastIndex = at;
    const match = SEQUENCE.exec(line);
    // Not a valid sequence: only the escape character is removed.
    if (!match) return 1;
    const [all, parameters = '', letter] = match;
    if (letter === 'A') screen.up(Number(parameters) || 1);
    if (letter === 'K') screen.erase(parameters);
    return all.length;
  }
  return 1;
}

/**
 * A line is a string until the cursor moves back in it; from then on it is an array of code points. The cost of each
 * step is proportional to what it writes, so even the cost of a hostile text is proportional to its length. For the
 * same reason, the cursor never stands beyond the end of a line, so no line is padded.
 */
function createScreen() {
  const lines: (string | string[])[] = [''];
  let row = 0;
  /** Infinity means the end of the line. */
  let column = Number.POSITIVE_INFINITY;
  const cells = (): string[] => {
    const line = lines[row] ?? '';
    if (typeof line !== 'string') return line;
    const taken = [...line];
    lines[row] = taken;
    return taken;
  };
  const append = (text: string) => {
    const line = lines[row] ?? '';
    if (typeof line === 'string') lines[row] = line + text;
    else for (const char of text) line.push(char);
  };
  return {
    text: () => lines.map((line) => (typeof line === 'string' ? line : line.join(''))).join('\n'),
    newLine: () => {
      row += 1;
      if (row === lines.length) lines.push('');
      column = lines[row] === '' ? Number.POSITIVE_INFINITY : 0;
    },
    moveTo: (to: number) => {
      column = to;
    },
    moveBy: (by: number) => {
      column = Math.max(0, Math.min(column, cells().length) + by);
    },
    up: (by: number) => {
      column = Math.min(column, cells().length);
      row = Math.max(0, row - by);
    },
    /** Erases the whole line (2), the part up to and including the cursor (1), or the part from the cursor on. */
    erase: (what: string) => {
      const line = cells();
      if (what === '1') line.fill(' ', 0, Math.min(line.length, column + 1));
      else line.length = what === '2' ? 0 : Math.min(line.length, column);
    },
    write: (text: string) => {
      if (text === '') return;
      if (column === Number.POSITIVE_INFINITY) return append(text);
      const line = cells();
      column = Math.min(column, line.length);
      for (const char of text) {
        line[column] = char;
        column += 1;
      }
    },
  };
}

/** Selects some of an execution's outputs. */
export interface OutputRange {
  /** Only outputs with a larger seq. 0 by default. */
  readonly after?: number | null | undefined;
  /** At most this number of outputs. All by default. */
  readonly first?: number | null | undefined;
}

/** No execution has as many outputs. PostgreSQL's `integer` holds no larger number. */
const MAX_SEQ = 2 ** 31 - 1;
const FROM_ZERO = { min: 0, max: MAX_SEQ };

/** @throws BAD_USER_INPUT, with the field that is negative or too large */
export function validateOutputRange({ after, first }: OutputRange): {
  readonly after: number;
  readonly limit: number | null;
} {
  return {
    after: validateNumber('after', after ?? 0, FROM_ZERO),
    limit: first == null ? null : validateNumber('first', first, FROM_ZERO),
  };
}

// The errors for an answer that would be larger than MAX_RESPONSE_BYTES.

export interface OutputAdvice {
  /** How to get an execution's output in parts over this protocol. Continues a sentence that begins with "Ask ". */
  readonly inParts: string;
}

/** The part of the answer that does not fit. */
export type Piece = { readonly field: string } & (
  | { readonly executionId: string }
  | { readonly eventId: string }
  | { readonly path: string }
);

export function tooLarge(piece: Piece, limit: number, { inParts }: OutputAdvice): DomainError {
  const [ofWhat, ask] = whatAndHow(piece, inParts);
  return new DomainError(
    'BAD_USER_INPUT',
    `The response would be larger than ${limit} bytes (MAX_RESPONSE_BYTES) with \`${piece.field}\` of ${ofWhat}. Ask ${ask}.`,
    { ...piece, limit },
  );
}

function whatAndHow(piece: Piece, inParts: string): [string, string] {
  if ('eventId' in piece) return [`event ${piece.eventId}`, 'for fewer events at once (`first`)'];
  if ('path' in piece) return [`file ${quoted(piece.path)}`, 'for fewer files at once (`first`)'];
  return [`execution ${piece.executionId}`, inParts];
}

/**
 * The error for an execution beyond the limit of a combined read, which takes whole executions up to the limit. The
 * execution is the first that does not fit, or a later one.
 */
export function tooManyAtOnce(
  executionId: string,
  field: 'code' | 'outputs',
  limit: number,
  { inParts }: OutputAdvice,
): DomainError {
  const alone = field === 'outputs' ? `, ${inParts}` : '';
  return new DomainError(
    'BAD_USER_INPUT',
    `The \`${field}\` of execution ${executionId}, together with those of the executions before it in this answer, would be larger than ${limit} bytes (MAX_RESPONSE_BYTES). ` +
      `Ask for fewer executions at once (\`first\`)${alone}.`,
    { field, limit, executionId },
  );
}
