/**
 * Checks one frame from a worker. User code controls the kernel process, so every message is hostile input: nothing
 * here throws, and everything that passes is bounded. The checks are written by hand, not with a schema library,
 * because every line that a user prints passes through here.
 */
import { readErrorFacts } from './errorFacts.ts';
import {
  isJsonObject,
  type JsonObject,
  readAmount,
  readCount,
  readInteger,
  readSize,
  readSmallInteger,
  readTime,
} from './jsonValue.ts';
import type {
  AgentVerdict,
  ContextMessage,
  Hello,
  KernelMessage,
  KernelState,
  ReplyMessage,
  StatusMessage,
} from './messages.ts';
import { parseJson } from './parseJson.ts';
import { readFiles } from './readFiles.ts';
import { isOutputType, readOutput } from './readOutput.ts';

export type Frame =
  | { readonly type: 'hello'; readonly hello: Hello }
  | { readonly type: 'message'; readonly message: KernelMessage; readonly isMalformed: boolean }
  /** Not handed on: the frame was not understood (`invalid`), or nobody needs its kind (`ignored`). */
  | { readonly type: 'dropped'; readonly seq: number | null; readonly why: 'invalid' | 'ignored' };

/** Longest id accepted as a parent. Ours have 36 characters, Jupyter's about 70. A longer id matches no request. */
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
