/**
 * Checks one frame from a worker. User code controls the kernel process, so every message is hostile input: nothing
 * here throws, and everything that passes is bounded. The checks are written by hand, not with a schema library,
 * because every line that a user prints passes through here.
 */

import { isUtf8 } from 'node:buffer';
import { isJsonObject, type JsonObject, jsonText } from '../../domain/exactJson.ts';
import {
  type ExecutionFiles,
  type FileChange,
  type FileChangeKind,
  type NoChangesReason,
  unknownFiles,
} from '../../domain/executionFiles.ts';
import type { ExpressionResult } from '../../domain/executionOptions.ts';
import type { ExpressionResults, InputRequest, Output, RichOutput } from '../../domain/output.ts';
import { storableText } from '../../domain/text.ts';
import {
  nestsAtMost,
  parseJson,
  readAmount,
  readCount,
  readInteger,
  readSize,
  readSmallInteger,
  readTime,
} from './json.ts';
import type {
  AgentVerdict,
  ContextMessage,
  ErrorFacts,
  Hello,
  KernelMessage,
  KernelState,
  ReplyMessage,
  StatusMessage,
} from './messages.ts';

// The bounds of a displayed object: of its data by MIME type, and of its metadata.

/** Most MIME types of one displayed object. Rich libraries send about five. */
const MAX_MIME_TYPES = 64;
/** Longest MIME type; RFC 6838 allows 127 + 1 + 127. */
const MAX_MIME_TYPE_CHARS = 255;
/** Deepest JSON in data or metadata. Chart specifications reach about 20 levels. A stack overflows at thousands. */
const MAX_JSON_DEPTH = 128;
/** Most metadata kept with one output, as JSON. Real metadata holds a width and a height. */
const MAX_METADATA_CHARS = 65_536;

function isKeepableData(data: JsonObject): boolean {
  const types = Object.keys(data);
  return (
    types.length <= MAX_MIME_TYPES &&
    types.every((type) => type.length <= MAX_MIME_TYPE_CHARS) &&
    nestsAtMost(MAX_JSON_DEPTH, data)
  );
}

/** Metadata that exceeds the bounds is dropped, but the data is kept: metadata only hints at how to show it. */
function boundedMetadata(metadata: JsonObject): JsonObject {
  const isKeepable =
    nestsAtMost(MAX_JSON_DEPTH, metadata) && jsonText(metadata).length <= MAX_METADATA_CHARS;
  return isKeepable ? metadata : {};
}

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
function readErrorFacts(content: Readonly<Record<string, unknown>>): ErrorFacts {
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

/** The agent has the same limits. */
const MAX_EXPRESSIONS = 64;
const MAX_NAME_CHARS = 128;

/** The results of the expressions that were evaluated after a cell. Null: they are malformed or exceed the limits. */
function readExpressions({ results }: JsonObject): ExpressionResults | null {
  if (!isJsonObject(results)) return null;
  const entries = Object.entries(results);
  if (entries.length > MAX_EXPRESSIONS) return null;
  const read: [string, ExpressionResult][] = [];
  for (const [name, value] of entries) {
    const result = name.length <= MAX_NAME_CHARS && isJsonObject(value) ? readResult(value) : null;
    if (result === null) return null;
    read.push([name, result]);
  }
  return { kind: 'expressions', results: Object.fromEntries(read) };
}

function readResult(result: JsonObject): ExpressionResult | null {
  if (result.status !== 'ok') return { status: 'error', ...readErrorFacts(result) };
  const { data, metadata } = result;
  if (!isJsonObject(data) || !isKeepableData(data)) return null;
  return {
    status: 'ok',
    data,
    metadata: isJsonObject(metadata) ? boundedMetadata(metadata) : {},
  };
}

/** The list becomes part of an event and a row, and no reader needs more changes. The agent has the same limit. */
const MAX_CHANGES = 1_000;
/** Size of the whole list as JSON, for the same reason. A usual change has about 100 bytes. */
const MAX_CHANGES_BYTES = 65_536;
/** The last millisecond of the year 9999: PostgreSQL and RFC 3339 read no later time in this form. */
const LAST_TIME_MS = Date.parse('9999-12-31T23:59:59.999Z');

const KINDS: Readonly<Record<string, FileChangeKind>> = {
  created: 'CREATED',
  modified: 'MODIFIED',
  deleted: 'DELETED',
};
const REASONS: Readonly<Record<string, NoChangesReason>> = {
  too_many_entries: 'too-many-entries',
  too_deep: 'too-deep',
  too_slow: 'too-slow',
  too_many_changes: 'too-many-changes',
  kernel_replaced: 'kernel-replaced',
  no_earlier_look: 'no-earlier-look',
  helper_away: 'helper-away',
};

/** What a reply says about changed files. Null if it says nothing. Never throws. */
export function readFiles(value: unknown): ExecutionFiles | null {
  if (value === undefined || value === null) return null;
  if (!isJsonObject(value)) return unknownFiles('malformed');
  const shared = value.shared === true;
  if (!Array.isArray(value.changes)) {
    const reason = own(REASONS, value.reason) ?? 'malformed';
    return { changes: null, reason, shared };
  }
  if (value.changes.length > MAX_CHANGES) return { changes: null, reason: 'malformed', shared };
  const changes = value.changes.map(readChange);
  if (!changes.every((change) => change !== null))
    return { changes: null, reason: 'malformed', shared };
  return Buffer.byteLength(JSON.stringify(changes)) > MAX_CHANGES_BYTES
    ? { changes: null, reason: 'too-many-changes', shared }
    : { changes, reason: null, shared };
}

function readChange(value: unknown): FileChange | null {
  if (!isJsonObject(value)) return null;
  const { path, size, modified_at: modifiedAt } = value;
  const change = own(KINDS, value.change);
  if (typeof path !== 'string' || path === '' || change === null) return null;
  return {
    path: storableText(path),
    change,
    size: readSize(size),
    modifiedAt: isoTime(readTime(modifiedAt)),
  };
}

function isoTime(ms: number | null): string | null {
  return ms === null || ms > LAST_TIME_MS ? null : new Date(ms).toISOString();
}

/** The table's own entry of that name. Inherited names such as `constructor` do not count. */
function own<T>(table: Readonly<Record<string, T>>, name: unknown): T | null {
  return typeof name === 'string' && Object.hasOwn(table, name) ? (table[name] ?? null) : null;
}

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
function isOutputType(type: unknown): type is OutputType {
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
function readOutput(
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

/** Keeps a malformed request, too, because the code waits for an answer. `password` counts as true if not a boolean. */
function readInputRequest({ prompt, password }: JsonObject): InputRequest {
  return {
    kind: 'input',
    prompt: typeof prompt === 'string' ? cutText(prompt, MAX_PROMPT_CHARS) : '',
    password: password !== false,
  };
}

export type Frame =
  | { readonly type: 'hello'; readonly hello: Hello }
  | { readonly type: 'message'; readonly message: KernelMessage; readonly isMalformed: boolean }
  /** Not handed on: the frame was not understood (`invalid`), or its kind is not used here (`ignored`). */
  | { readonly type: 'dropped'; readonly seq: number | null; readonly why: 'invalid' | 'ignored' };

/** Every frame that may arrive on an open connection. */
export type DeliverableFrame = Exclude<Frame, { type: 'hello' }>;

/** Longest id accepted, of a request, a context or a boot. Ours have 36 characters, Jupyter's about 70. */
const MAX_ID_CHARS = 256;

/** The name of a signal, or `SIG` and its number. */
const SIGNAL = /^SIG[A-Z0-9]{1,12}$/;

const KERNEL_STATES: readonly unknown[] = ['busy', 'idle', 'starting', 'restarting', 'dead'];
const RESTART_REASONS: readonly unknown[] = ['timeout', 'user', 'died', 'oom'];
const CONTEXT_STATES: readonly unknown[] = ['ready', 'ended', 'failed'];
const OUTCOMES: readonly unknown[] = [
  'finished',
  'timeout',
  'interrupted',
  'kernel_died',
  'out_of_memory',
];

/** @param receivedAt used for messages without an `at` */
export function parseFrame(text: string, receivedAt: number): Frame {
  const frame = parseJson(text);
  if (!isJsonObject(frame)) return { type: 'dropped', seq: null, why: 'invalid' };
  if (frame.hello !== undefined) {
    const hello = readHello(frame.hello);
    return hello === null
      ? { type: 'dropped', seq: null, why: 'invalid' }
      : { type: 'hello', hello };
  }
  return readMessage(frame, text.length, receivedAt);
}

function readMessage(frame: JsonObject, frameChars: number, receivedAt: number): Frame {
  const seq = readSeq(frame.seq);
  const { channel, header, content, parent_header: parent } = frame;
  if (seq === null || !isJsonObject(header) || !isJsonObject(content))
    return { type: 'dropped', seq, why: 'invalid' };
  const type = header.msg_type;
  const base = { seq, at: readTime(frame.at) ?? receivedAt, parentId: readParentId(parent) };
  if (channel === 'iopub' && type === 'status') return readStatus(base, content);
  if (channel === 'iopub' && type === 'cellhouse_context') return readContext(base, content);
  if (channel === 'iopub' && isOutputType(type)) {
    const { output, isMalformed } = readOutput(type, content, frameChars);
    return { type: 'message', message: { type: 'output', ...base, output }, isMalformed };
  }
  if (channel === 'shell' && type === 'execute_reply')
    return readReply(base, content, frame.metadata);
  return { type: 'dropped', seq, why: typeof type === 'string' ? 'ignored' : 'invalid' };
}

type Base = Pick<StatusMessage, 'seq' | 'at' | 'parentId'>;

function readStatus(base: Base, content: JsonObject): Frame {
  const state = content.execution_state;
  if (!KERNEL_STATES.includes(state)) return { type: 'dropped', seq: base.seq, why: 'invalid' };
  const reason = RESTART_REASONS.includes(content.reason)
    ? (content.reason as StatusMessage['reason'])
    : null;
  const executionCount = readCount(content.execution_count);
  const pid = readCount(content.pid);
  const message: StatusMessage = {
    type: 'status',
    ...base,
    state: state as KernelState,
    reason,
    contextId: readId(content.context_id),
    ...(executionCount !== null && { executionCount }),
    ...(pid !== null && { pid }),
  };
  return { type: 'message', message, isMalformed: false };
}

/** The agent sends this message without a parent. So no kernel can forge it: every message of a kernel has a parent. */
function readContext(base: Base, content: JsonObject): Frame {
  const contextId = readId(content.context_id);
  const { state } = content;
  if (contextId === null || base.parentId !== null || !CONTEXT_STATES.includes(state))
    return { type: 'dropped', seq: base.seq, why: 'invalid' };
  const message: ContextMessage = {
    type: 'context',
    ...base,
    contextId,
    state: state as ContextMessage['state'],
  };
  return { type: 'message', message, isMalformed: false };
}

function readReply(base: Base, content: JsonObject, metadata: unknown): Frame {
  const status = replyStatus(content.status);
  const message: ReplyMessage = {
    type: 'reply',
    ...base,
    status: status ?? 'error',
    executionCount: readCount(content.execution_count),
    error: status === 'ok' ? null : readErrorFacts(content),
    verdict: isJsonObject(metadata) ? readVerdict(metadata.cellhouse) : null,
  };
  // A malformed reply still ends the execution, because no other reply will follow.
  return { type: 'message', message, isMalformed: status === null };
}

function replyStatus(status: unknown): ReplyMessage['status'] | null {
  if (status === 'ok' || status === 'error') return status;
  // Protocol versions before 5.1 say `abort`.
  return status === 'aborted' || status === 'abort' ? 'aborted' : null;
}

function readVerdict(value: unknown): AgentVerdict | null {
  if (!isJsonObject(value) || !OUTCOMES.includes(value.outcome)) return null;
  return {
    outcome: value.outcome as AgentVerdict['outcome'],
    stateLost: value.state_lost === true,
    startedAt: readTime(value.started_at),
    finishedAt: readTime(value.finished_at),
    cpuMs: readAmount(value.cpu_ms),
    peakMemoryBytes: readSize(value.peak_memory_bytes),
    outputBytes: readSize(value.output_bytes),
    droppedBytes: readSize(value.dropped_bytes) ?? 0,
    exitCode: readSmallInteger(value.exit_code),
    signal: readSignal(value.signal),
    files: readFiles(value.files),
  };
}

function readSignal(value: unknown): string | null {
  return typeof value === 'string' && SIGNAL.test(value) ? value : null;
}

function readHello(value: unknown): Hello | null {
  if (!isJsonObject(value)) return null;
  const bootId = readId(value.boot_id);
  const firstSeq = readSize(value.first_seq);
  const lastSeq = readSize(value.last_seq);
  if (bootId === null || firstSeq === null || lastSeq === null) return null;
  return { bootId, firstSeq, lastSeq, kernelGeneration: readInteger(value.kernel_generation) ?? 0 };
}

function readSeq(value: unknown): number | null {
  const seq = readSize(value);
  return seq === 0 ? null : seq;
}

function readParentId(parent: unknown): string | null {
  return isJsonObject(parent) ? readId(parent.msg_id) : null;
}

/** An id that PostgreSQL can store as text. */
function readId(value: unknown): string | null {
  if (typeof value !== 'string' || value === '' || value.length > MAX_ID_CHARS) return null;
  return value.isWellFormed() && !value.includes('\u0000') ? value : null;
}
