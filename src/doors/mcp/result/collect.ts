/** Gathers what an execution has printed and shown so far, in limited memory. */
import type { Execution } from '../../../domain/execution.ts';
import type { Output, OutputItem, RichOutput } from '../../../domain/output.ts';
import type { BoundService } from '../../../service/service.ts';
import { createKeptText, type KeptText } from './keptText.ts';
import { imageUri } from './outputUris.ts';
import { type Image, imageOf, shownText } from './shownData.ts';

/** The most images in one result. More images would cost a model more than they tell it. */
const MAX_IMAGES = 5;
/** 1 MiB of base64. Hosts refuse larger messages. */
export const MAX_IMAGE_CHARS = 1_048_576;
/** The longest message of an exception, beside its traceback. */
const MAX_MESSAGE_CHARS = 2_000;
const MAX_NAME_CHARS = 200;
/** The most notes about missing output. Each note takes a line. */
const MAX_NOTES = 10;

/** An image in a result. */
export interface ShownImage extends Image {
  readonly displayId: string | null;
}

export interface PythonException {
  readonly name: string;
  readonly message: string;
  readonly traceback: KeptText;
}

export interface Collected {
  /** What was printed, and the texts of what was displayed, in their order. */
  readonly stdout: KeptText;
  readonly stderr: KeptText;
  /** The texts of results. Null: there were none. */
  readonly result: KeptText | null;
  readonly error: PythonException | null;
  readonly images: readonly ShownImage[];
  /** How many images there were, those left out included. */
  readonly imageCount: number;
  /** A note for each piece of output that is missing. */
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
  /** `clear_output(wait=True)`: the next output clears. */
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
