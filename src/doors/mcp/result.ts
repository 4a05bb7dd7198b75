/** The result of code, as a tool returns it: a text that is complete by itself, images, and the same facts as data. */

import type { CallToolResult } from '@modelcontextprotocol/server';
import { z } from 'zod';
import type { Execution } from '../../domain/execution.ts';
import { mimeText, type Output, type OutputItem, type RichOutput } from '../../domain/output.ts';
import { renderedText } from '../../service/answer/renderedText.ts';
import type { BoundService } from '../../service/service.ts';

// The URIs of resources.

/** The template of {@link outputUri}. */
export const OUTPUT_TEMPLATE = 'cellhouse://executions/{execution_id}/output';
/** The template of {@link imageUri}. */
export const IMAGE_TEMPLATE = 'cellhouse://executions/{execution_id}/images/{seq}';

/** The whole text output of an execution. */
function outputUri(executionId: string): string {
  return `cellhouse://executions/${executionId}/output`;
}

/** An image of an execution. @param seq of the output that contains the image */
function imageUri(executionId: string, seq: number): string {
  return `cellhouse://executions/${executionId}/images/${seq}`;
}

// Text of any length, of which only the beginning and the end are kept, as a terminal would show it.

/** How long all texts of one result may be together. Hosts cut or refuse results of more than some 25,000 tokens. */
export const MAX_RESULT_CHARS = 30_000;
const HEAD_SHARE = 2 / 3;
const HEAD_CHARS = MAX_RESULT_CHARS * HEAD_SHARE;
const TAIL_CHARS = MAX_RESULT_CHARS - HEAD_CHARS;
/**
 * A longer text is rendered in parts, to limit memory. A cursor that would move up out of its part stays at the top of
 * that part. The limit is far below what `renderedText` accepts.
 */
const MAX_UNDRAWN_CHARS = 262_144;

interface KeptText {
  add(text: string): void;
  /** Forgets everything, as `clear_output` does. */
  clear(): void;
  /** The length of the whole text, including characters that were cut. */
  readonly chars: number;
  /** The text with at most `limit` of its characters. In a longer text, a note replaces the middle. */
  cutTo(limit: number): string;
}

export function createKeptText(): KeptText {
  let head = '';
  let tail = '';
  let chars = 0;
  let undrawn = '';

  function keep(drawn: string): void {
    chars += drawn.length;
    const room = HEAD_CHARS - head.length;
    head += drawn.slice(0, room);
    tail = (tail + drawn.slice(room)).slice(-TAIL_CHARS);
  }

  function draw(end: number): void {
    keep(renderedText(undrawn.slice(0, end)));
    undrawn = undrawn.slice(end);
  }

  return {
    add(text) {
      for (let at = 0; at < text.length; at += MAX_UNDRAWN_CHARS) {
        undrawn += text.slice(at, at + MAX_UNDRAWN_CHARS);
        if (undrawn.length <= MAX_UNDRAWN_CHARS) continue;
        draw(undrawn.lastIndexOf('\n', MAX_UNDRAWN_CHARS) + 1 || MAX_UNDRAWN_CHARS);
      }
    },
    clear() {
      head = tail = undrawn = '';
      chars = 0;
    },
    get chars() {
      draw(undrawn.length);
      return chars;
    },
    cutTo(limit) {
      draw(undrawn.length);
      if (chars <= limit) return (head + tail).toWellFormed();
      const begin = head.slice(0, Math.floor(limit * HEAD_SHARE));
      const end = limit - begin.length;
      const rest = end === 0 ? '' : (head + tail).slice(-end);
      return `${begin}\n[… ${chars - limit} characters are cut out here …]\n${rest}`.toWellFormed();
    },
  };
}

/**
 * How many characters each text may have, so that all together have at most `limit`: short ones are whole, and the
 * others share the rest evenly.
 */
export function shares(lengths: readonly number[], limit: number): number[] {
  const shared = lengths.map(() => 0);
  let left = limit;
  const order = lengths.map((_, index) => index).sort((a, b) => at(lengths, a) - at(lengths, b));
  for (const [done, index] of order.entries()) {
    const share = Math.min(at(lengths, index), Math.floor(left / (order.length - done)));
    shared[index] = share;
    left -= share;
  }
  return shared;
}

function at(lengths: readonly number[], index: number): number {
  return lengths[index] ?? 0;
}

// Chooses the part of a rich output that a model gets to see. Pure.

interface Image {
  /** Base64 without line breaks. */
  readonly data: string;
  readonly mimeType: 'image/png' | 'image/jpeg';
}

/** Longer markup, such as HTML and SVG, costs a model more tokens than it is worth. */
const MAX_MARKUP_CHARS = 2_000;
const IMAGES = ['image/png', 'image/jpeg'] as const;
/** In the order of preference. */
const MARKUPS = ['text/markdown', 'text/latex', 'image/svg+xml', 'text/html'] as const;
/** A plain text that says nothing, such as `<IPython.core.display.HTML object>`. */
const SAYS_NOTHING = /^<[\w.]+ (?:object|size)\b[^\n]*>$/;

/** The image of an output. Null: it has none. */
export function imageOf({ data }: RichOutput): Image | null {
  for (const mimeType of IMAGES) {
    const value = mimeText(data[mimeType])?.replace(/\s+/g, '');
    if (value !== undefined && isBase64(value)) return { data: value, mimeType };
  }
  return null;
}

/** Code may show anything as an image. If one image is not base64, a host refuses the whole result. */
function isBase64(value: string): boolean {
  const digits = value.replace(/={1,2}$/, '');
  return value !== '' && value.length % 4 === 0 && !/[^A-Za-z0-9+/]/.test(digits);
}

/** The text of an output: its plain text, or short markup if the plain text says nothing. Null: it has no text. */
export function shownText({ data }: RichOutput): string | null {
  const plain = mimeText(data['text/plain']);
  if (plain !== null && !SAYS_NOTHING.test(plain)) return plain;
  for (const type of MARKUPS) {
    const markup = mimeText(data[type]);
    if (markup !== null && markup.length <= MAX_MARKUP_CHARS) return markup;
  }
  return plain;
}

// Gathers what an execution has printed and shown so far, in limited memory.

/** The most images in one result. More images would cost a model more tokens than they are worth. */
const MAX_IMAGES = 5;
/** 1 MiB of base64. Hosts refuse larger messages. */
export const MAX_IMAGE_CHARS = 1_048_576;
/** The longest message of an exception, without its traceback. */
const MAX_MESSAGE_CHARS = 2_000;
const MAX_NAME_CHARS = 200;
/** The most notes about missing output. Each note takes a line. */
const MAX_NOTES = 10;

/** An image in a result. */
interface ShownImage extends Image {
  readonly displayId: string | null;
}

interface PythonException {
  readonly name: string;
  readonly message: string;
  readonly traceback: KeptText;
}

interface Collected {
  /** What was printed, and the texts of what was displayed, in their order. */
  readonly stdout: KeptText;
  readonly stderr: KeptText;
  /** The texts of results. Null: there were none. */
  readonly result: KeptText | null;
  readonly error: PythonException | null;
  readonly images: readonly ShownImage[];
  /** How many images there were, those left out included. */
  readonly imageCount: number;
  /** A note for each piece of output that is missing, up to {@link MAX_NOTES}. */
  readonly missing: readonly string[];
  /** The seq of the last output that was gathered. */
  readonly lastSeq: number;
}

/** Gathers the output that is stored after the seq `after`. */
export async function collect(
  service: Pick<BoundService, 'outputPage'>,
  execution: Execution,
  after: number,
): Promise<Collected> {
  const gathered = createGathered(after);
  for (;;) {
    const { items, isEnd } = await service.outputPage(execution, gathered.lastSeq);
    for (const item of items) gather(gathered, item);
    if (isEnd || items.length === 0 || items.at(-1)?.output.kind === 'finish') return gathered;
  }
}

interface Gathered extends Collected {
  stdout: KeptText;
  stderr: KeptText;
  result: KeptText | null;
  error: PythonException | null;
  images: ShownImage[];
  imageCount: number;
  missing: string[];
  lastSeq: number;
  /** Set by `clear_output(wait=True)`: the next output clears the earlier ones. */
  isClearedNext: boolean;
}

function createGathered(after: number): Gathered {
  return {
    stdout: createKeptText(),
    stderr: createKeptText(),
    result: null,
    error: null,
    images: [],
    imageCount: 0,
    missing: [],
    lastSeq: after,
    isClearedNext: false,
  };
}

function gather(gathered: Gathered, item: OutputItem): void {
  const { seq, output } = item;
  gathered.lastSeq = seq;
  if (output.kind === 'finish') return;
  if (gathered.isClearedNext || (output.kind === 'clear' && !output.wait)) clear(gathered);
  gathered.isClearedNext = output.kind === 'clear' && output.wait;
  take(gathered, output, item);
}

function take(gathered: Gathered, output: Output, { executionId, seq }: OutputItem): void {
  switch (output.kind) {
    case 'stream':
      gathered[output.name].add(output.text);
      return;
    case 'result':
    case 'display':
    case 'update':
      takeRich(gathered, output, imageUri(executionId, seq));
      return;
    case 'error':
      gathered.error = exceptionOf(output);
      return;
    case 'input':
      gathered.stdout.add(output.prompt);
      return;
    case 'gap':
      note(gathered.missing, gapOf(output));
      return;
    case 'clear':
    case 'expressions':
      return;
    default:
      output satisfies never;
  }
}

function takeRich(gathered: Gathered, output: RichOutput, uri: string): void {
  const image = imageOf(output);
  if (image) {
    takeImage(gathered, { ...image, displayId: output.displayId }, uri);
    return;
  }
  const text = shownText(output);
  if (text === null) return;
  if (output.kind === 'result') {
    gathered.result ??= createKeptText();
    gathered.result.add(gathered.result.chars > 0 ? `\n${text}` : text);
  } else gathered.stdout.add(`${text}\n`);
}

/** An update replaces the image that it updates. @param uri of the image, which a note names if it is left out */
function takeImage(gathered: Gathered, image: ShownImage, uri: string): void {
  const { images, missing } = gathered;
  gathered.imageCount += 1;
  const former = images.findIndex(
    ({ displayId }) => displayId !== null && displayId === image.displayId,
  );
  if (image.data.length > MAX_IMAGE_CHARS) {
    note(missing, `An image is too large for a result: it is the resource ${uri}`);
  } else if (former >= 0) images[former] = image;
  else if (images.length < MAX_IMAGES) images.push(image);
  else note(missing, `An image beyond the first ${MAX_IMAGES}: it is the resource ${uri}`);
}

function note(missing: string[], what: string): void {
  if (missing.length < MAX_NOTES) missing.push(what);
}

function exceptionOf({
  name,
  value,
  traceback,
}: Extract<Output, { kind: 'error' }>): PythonException {
  const text = createKeptText();
  text.add(traceback.length > 0 ? traceback.join('\n') : `${name}: ${value}`);
  return {
    name: name.slice(0, MAX_NAME_CHARS).toWellFormed(),
    message: value.slice(0, MAX_MESSAGE_CHARS).toWellFormed(),
    traceback: text,
  };
}

function gapOf({ reason, droppedBytes }: Extract<Output, { kind: 'gap' }>): string {
  const size = droppedBytes === null ? 'Some' : `${droppedBytes} bytes of`;
  return `${size} output is missing: ${reason}`;
}

function clear(gathered: Gathered): void {
  gathered.stdout.clear();
  gathered.stderr.clear();
  gathered.result = null;
  gathered.images = [];
}

const STATUSES = {
  QUEUED: 'queued',
  RUNNING: 'running',
  OK: 'ok',
  ERROR: 'error',
  TIMEOUT: 'timeout',
  INTERRUPTED: 'interrupted',
  CANCELLED: 'cancelled',
  WORKER_LOST: 'worker_lost',
} as const satisfies Record<Execution['status'], string>;

/** The schema of `structuredContent`, the same for every status. */
export const RESULT = z.object({
  session_id: z
    .string()
    .nullable()
    .describe('Pass it to the next call to find variables and files again.'),
  execution_id: z.string(),
  status: z.enum(STATUSES),
  stdout: z.string().describe('What was printed, and texts that were displayed.'),
  stderr: z.string(),
  result: z.string().nullable().describe('The value of the last expression.'),
  error: z
    .object({ name: z.string(), message: z.string(), traceback: z.string() })
    .nullable()
    .describe('The exception that ended the code.'),
  exit_code: z.number().int().nullable().describe('Of a shell command that has exited.'),
  images: z.number().int().describe('How many images the code has shown.'),
  truncated: z.boolean().describe('Whether output is missing here.'),
  state_lost: z.boolean().describe('Whether variables of earlier calls are gone.'),
  next_seq: z.number().int().describe('Pass it as after_seq to get only what follows.'),
  duration_ms: z.number().int().nullable().describe('How long it has run. Null: not begun.'),
});
type Result = z.infer<typeof RESULT>;

interface Ran {
  readonly execution: Execution;
  readonly collected: Collected;
  /** The id by which the client knows the session. Null: there is no id that the client can pass. */
  readonly sessionId: string | null;
  /** Whether the client knows links to resources. */
  readonly knowsLinks: boolean;
  readonly now: Date;
}

/** A result of code that failed or was stopped is an error for the host. It contains what the code printed before. */
export function resultOf(ran: Ran): CallToolResult {
  const { collected, execution } = ran;
  const data = dataOf(ran);
  const isError = data.status !== 'ok' && execution.finishedAt !== null;
  return {
    content: [
      { type: 'text', text: textOf(data, collected) },
      ...collected.images.map(({ data, mimeType }) => ({ type: 'image' as const, data, mimeType })),
      ...(ran.knowsLinks ? links(data) : []),
    ],
    structuredContent: data,
    isError,
  };
}

function dataOf({ execution, collected, sessionId, now }: Ran): Result {
  const { stdout, stderr, result, error, imageCount, missing, lastSeq } = collected;
  const texts = [stdout, stderr, result, error?.traceback ?? null];
  const lengths = texts.map((text) => text?.chars ?? 0);
  const limits = shares(lengths, MAX_RESULT_CHARS);
  const cut = (text: KeptText | null, index: number) => text?.cutTo(limits[index] ?? 0) ?? null;
  const [out, err, value, traceback] = texts.map(cut);
  return {
    session_id: sessionId,
    execution_id: execution.id,
    status: STATUSES[execution.status],
    stdout: out ?? '',
    stderr: err ?? '',
    result: value ?? null,
    error: error && { name: error.name, message: error.message, traceback: traceback ?? '' },
    exit_code: execution.exitCode,
    images: imageCount,
    truncated:
      execution.truncated ||
      missing.length > 0 ||
      lengths.some((length, index) => length > (limits[index] ?? 0)),
    state_lost: execution.stateLost,
    next_seq: lastSeq,
    duration_ms: durationOf(execution, now),
  };
}

function durationOf({ runMs, startedAt, finishedAt }: Execution, now: Date): number | null {
  if (finishedAt !== null || startedAt === null) return runMs;
  return Math.max(0, now.getTime() - startedAt.getTime());
}

/** The text contains all that a model needs of the data, because older hosts show only the text. */
function textOf(data: Result, { missing }: Collected): string {
  const parts = [
    data.stdout,
    data.stderr && `stderr:\n${data.stderr}`,
    data.result ?? '',
    data.error?.traceback ?? '',
    ...missing.map((what) => `[${what}]`),
    ...notes(data),
  ].filter((part) => part !== '');
  return parts.map((part) => (part.endsWith('\n') ? part : `${part}\n`)).join('') + lastLine(data);
}

function lastLine({ session_id, execution_id, status, exit_code }: Result): string {
  const exit = exit_code === null ? '' : ` exit_code=${exit_code}`;
  const session = session_id === null ? '' : `session_id=${session_id} `;
  return `${session}execution_id=${execution_id} status=${status}${exit}`;
}

function notes(data: Result): string[] {
  const whole = data.truncated
    ? [`[The whole output is the resource ${outputUri(data.execution_id)}]`]
    : [];
  const lost = data.state_lost ? ['[Variables and imports of earlier calls are gone.]'] : [];
  return [...whole, ...ending(data), ...lost];
}

function ending({ status, execution_id, stdout, stderr, result, images }: Result): string[] {
  switch (status) {
    case 'ok':
      return stdout || stderr || result || images > 0 ? [] : ['(no output)'];
    case 'error':
      return [];
    case 'queued':
    case 'running':
      return [
        `[Not ended yet; it goes on. Call get_execution with execution_id="${execution_id}" to wait for its end.]`,
      ];
    case 'timeout':
      return ['[It reached its time limit and was stopped.]'];
    case 'interrupted':
      return ['[It was interrupted.]'];
    case 'cancelled':
      return ['[It was cancelled before it began. Nothing of it has run.]'];
    case 'worker_lost':
      return ['[Its worker is gone. How much of it has run is not known.]'];
    default:
      return status satisfies never;
  }
}

function links({ truncated, execution_id }: Result): CallToolResult['content'] {
  if (!truncated) return [];
  return [
    {
      type: 'resource_link',
      uri: outputUri(execution_id),
      name: 'output',
      description: 'The whole text of the output.',
      mimeType: 'text/plain',
    },
  ];
}
