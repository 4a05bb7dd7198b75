import { isUtf8 } from 'node:buffer';
import type { InputRequest, Output, RichOutput } from '../../domain/output.ts';
import { cutText, readErrorFacts } from './errorFacts.ts';
import { isJsonObject, type JsonObject, readCount, readSize } from './jsonValue.ts';
import { readExpressions } from './readExpressions.ts';
import { boundedMetadata, isKeepableData } from './richData.ts';

/** Longest display id. IPython's own have 32 characters. A longer one is ignored. */
const MAX_DISPLAY_ID_CHARS = 256;
const MAX_GAP_REASON_CHARS = 64;
/** Longest prompt of `input()` kept. It is a line that a person reads. */
const MAX_PROMPT_CHARS = 10_000;

const RICH_KINDS = {
  execute_result: 'result',
  display_data: 'display',
  update_display_data: 'update',
} as const satisfies Record<string, RichOutput['kind']>;

type OutputType =
  | keyof typeof RICH_KINDS
  | 'stream'
  | 'error'
  | 'clear_output'
  | 'cellhouse_gap'
  | 'cellhouse_input_request'
  | 'cellhouse_expressions';

/** Whether an iopub `msg_type` carries output. */
export function isOutputType(type: unknown): type is OutputType {
  switch (type) {
    case 'stream':
    case 'execute_result':
    case 'display_data':
    case 'update_display_data':
    case 'error':
    case 'clear_output':
    case 'cellhouse_gap':
    case 'cellhouse_input_request':
    case 'cellhouse_expressions':
      return true;
    default:
      return false;
  }
}

/**
 * Reads the output from a message's content. Text is kept exactly. Content that does not match `type`, or is too deep
 * or too wide to be kept, becomes a gap of the frame's size.
 */
export function readOutput(
  type: OutputType,
  content: JsonObject,
  frameChars: number,
): { readonly output: Output; readonly isMalformed: boolean } {
  const output = readContent(type, content);
  if (output !== null) return { output, isMalformed: false };
  return {
    output: { kind: 'gap', reason: 'malformed', droppedBytes: frameChars },
    isMalformed: true,
  };
}

function readContent(type: OutputType, content: JsonObject): Output | null {
  switch (type) {
    case 'stream':
      return readStream(content);
    case 'execute_result':
    case 'display_data':
    case 'update_display_data':
      return readRich(RICH_KINDS[type], content);
    case 'error':
      return { kind: 'error', ...readErrorFacts(content) };
    case 'clear_output':
      return { kind: 'clear', wait: content.wait === true };
    case 'cellhouse_gap':
      return readGap(content);
    case 'cellhouse_input_request':
      return readInputRequest(content);
    case 'cellhouse_expressions':
      return readExpressions(content);
    default:
      return type satisfies never;
  }
}

function readStream({ name, text, base64 }: JsonObject): Output | null {
  if (typeof text !== 'string' || (name !== 'stdout' && name !== 'stderr')) return null;
  return base64 === undefined ? { kind: 'stream', name, text } : readBytes(name, base64);
}

/** Decodes the text from the bytes. The worker's own text is ignored, because it may differ from the bytes. */
function readBytes(name: 'stdout' | 'stderr', base64: unknown): Output | null {
  if (typeof base64 !== 'string') return null;
  const bytes = Buffer.from(base64, 'base64');
  if (bytes.toString('base64') !== base64) return null;
  const output = { kind: 'stream', name, text: bytes.toString('utf8') } as const;
  return isUtf8(bytes) ? output : { ...output, base64 };
}

function readRich(kind: RichOutput['kind'], content: JsonObject): RichOutput | null {
  const { data, metadata, transient } = content;
  if (!isJsonObject(data) || !isKeepableData(data)) return null;
  return {
    kind,
    data,
    metadata: isJsonObject(metadata) ? boundedMetadata(metadata) : {},
    displayId: isJsonObject(transient) ? readDisplayId(transient.display_id) : null,
    executionCount: readCount(content.execution_count),
  };
}

function readDisplayId(value: unknown): string | null {
  return typeof value === 'string' && value.length <= MAX_DISPLAY_ID_CHARS ? value : null;
}

function readGap({ reason, dropped_bytes: droppedBytes }: JsonObject): Output | null {
  if (typeof reason !== 'string' || reason.length > MAX_GAP_REASON_CHARS) return null;
  return { kind: 'gap', reason, droppedBytes: readSize(droppedBytes) };
}

/** Reports a malformed request, too, because the code waits. If `password` is not a boolean, it counts as true. */
function readInputRequest({ prompt, password }: JsonObject): InputRequest {
  return {
    kind: 'input',
    prompt: typeof prompt === 'string' ? cutText(prompt, MAX_PROMPT_CHARS) : '',
    password: password !== false,
  };
}
