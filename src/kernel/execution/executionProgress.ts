/**
 * The progress of one execution, as a pure fold over its messages.
 *
 * ```
 *  waiting --busy or output--> started --output*--> ... --reply--> done
 * ```
 * A progress can outlive its gateway. It is plain JSON that PostgreSQL's `jsonb` accepts. If it is stored after message
 * k and then receives the messages from k+1 on, it yields the same outputs and outcome as an uninterrupted run.
 * Messages of another parent, and all messages after done, change nothing.
 */
import type { ExecutionId } from '../../domain/ids.ts';
import type { Output } from '../../domain/output.ts';
import { cutText } from '../frames/errorFacts.ts';
import type {
  KernelMessage,
  OutputMessage,
  ReplyMessage,
  StatusMessage,
} from '../frames/messages.ts';
import { BYTES_PER_ITEM, outputBytes, outputItems } from '../frames/outputBytes.ts';
import { type ExecutionOutcome, judgeReply } from './executionOutcome.ts';
import { lateInputRequest } from './lateInputRequest.ts';

export interface ExecutionProgress {
  readonly executionId: ExecutionId;
  readonly startedAt: number | null;
  readonly isDone: boolean;
  /** The name in the last error output, as JSON text, because it may contain characters that jsonb refuses. */
  readonly lastErrorNameJson: string | null;
  readonly producedBytes: number;
  readonly keptBytes: number;
  /** Kept outputs plus the values nested in their data, as {@link outputItems} counts them. */
  readonly keptOutputs: number;
  /** The output limit is exceeded: nothing more is kept. */
  readonly isFull: boolean;
  /** Bytes dropped since the limit was exceeded. */
  readonly droppedBytes: number;
  readonly isTruncated: boolean;
  /** How many requests for input were kept although the limit had no room for them. Left out: none. */
  readonly lateInputRequests?: number;
}

export interface Received {
  readonly progress: ExecutionProgress;
  /** Outputs to store, in this order. */
  readonly outputs: readonly Output[];
  /** This message shows that the kernel has begun the execution; no earlier one did. */
  readonly started: boolean;
  /** The execution count of a cell that begins with this message. Left out otherwise, or if it is unknown. */
  readonly executionCount?: number;
  /** The process id of a command that begins with this message. Left out otherwise, or if it is unknown. */
  readonly pid?: number;
  /** Set exactly once, together with the last outputs. */
  readonly done: ExecutionOutcome | null;
}

/** Longest error text in the outcome, which becomes part of an event. The error output has more of the text. */
const MAX_OUTCOME_ERROR_CHARS = 10_000;

export function startProgress(executionId: ExecutionId): ExecutionProgress {
  return {
    executionId,
    startedAt: null,
    isDone: false,
    lastErrorNameJson: null,
    producedBytes: 0,
    keptBytes: 0,
    keptOutputs: 0,
    isFull: false,
    droppedBytes: 0,
    isTruncated: false,
  };
}

/** The properties of an execution that determine how its messages are interpreted. */
export interface ReceivedFor {
  readonly maxOutputBytes: number;
  /** Left out: the execution is a cell. */
  readonly isCommand?: boolean;
}

/** Takes in one message. Never throws. */
export function receive(
  progress: ExecutionProgress,
  message: KernelMessage,
  { maxOutputBytes, isCommand = false }: ReceivedFor,
): Received {
  if (progress.isDone) return unchanged(progress);
  if (message.parentId !== progress.executionId) return unchanged(progress);
  switch (message.type) {
    case 'status':
      return message.state === 'busy' ? begin(progress, message, isCommand) : unchanged(progress);
    case 'output':
      return takeOutput(progress, message, maxOutputBytes);
    case 'context':
      return unchanged(progress);
    case 'reply':
      return finish(progress, message, isCommand);
    default:
      return message satisfies never;
  }
}

function unchanged(progress: ExecutionProgress): Received {
  return { progress, outputs: [], started: false, done: null };
}

function begin(progress: ExecutionProgress, message: StatusMessage, isCommand: boolean): Received {
  const { at: startedAt, executionCount, pid } = message;
  if (progress.startedAt !== null) return unchanged(progress);
  return {
    ...unchanged({ ...progress, startedAt }),
    started: true,
    ...(executionCount !== undefined && { executionCount }),
    // A kernel runs user code, so a process id from a kernel is ignored.
    ...(isCommand && pid !== undefined && { pid }),
  };
}

/**
 * The output limit also bounds the number of items (outputs, and values nested in their data): one item for each
 * {@link BYTES_PER_ITEM} of the limit. Without this bound a million empty outputs would count as zero bytes, and eight
 * million lists, whose JSON has four bytes each, as 32 MB. Bytes and items are counted separately, so the content alone
 * may still fill the limit exactly.
 */
function takeOutput(before: ExecutionProgress, message: OutputMessage, maxBytes: number): Received {
  const { output } = message;
  const bytes = outputBytes(output);
  const items = outputItems(output);
  const isFull =
    before.isFull ||
    before.keptBytes + bytes > maxBytes ||
    (before.keptOutputs + items) * BYTES_PER_ITEM > maxBytes;
  const { lateInputRequests = 0 } = before;
  const late = isFull && output.kind === 'input' && lateInputRequest(output, lateInputRequests);
  if (late)
    return {
      progress: {
        ...before,
        startedAt: before.startedAt ?? message.at,
        producedBytes: sum(before.producedBytes, bytes),
        lateInputRequests: lateInputRequests + 1,
      },
      outputs: [late],
      started: before.startedAt === null,
      done: null,
    };
  const lost = output.kind === 'gap' ? (output.droppedBytes ?? 0) : bytes;
  const progress: ExecutionProgress = {
    ...before,
    startedAt: before.startedAt ?? message.at,
    producedBytes: sum(before.producedBytes, lost),
    keptBytes: isFull ? before.keptBytes : before.keptBytes + bytes,
    keptOutputs: isFull ? before.keptOutputs : before.keptOutputs + items,
    isFull,
    droppedBytes: isFull ? sum(before.droppedBytes, lost) : before.droppedBytes,
    isTruncated: before.isTruncated || isFull || output.kind === 'gap',
    lastErrorNameJson:
      output.kind === 'error' && !isFull ? JSON.stringify(output.name) : before.lastErrorNameJson,
  };
  return {
    progress,
    outputs: isFull ? [] : [output],
    started: before.startedAt === null,
    done: null,
  };
}

/** A gap may claim any size, so the sum is capped at a number that can be stored. */
function sum(bytes: number, more: number): number {
  return Math.min(bytes + more, Number.MAX_SAFE_INTEGER);
}

function finish(progress: ExecutionProgress, reply: ReplyMessage, isCommand: boolean): Received {
  const { status, error } = judgeReply(reply, isCommand);
  const { verdict } = reply;
  const outputs: Output[] = [];
  if (progress.isFull)
    outputs.push({ kind: 'gap', reason: 'output_limit', droppedBytes: progress.droppedBytes });
  // The outputs alone must show the error too, even if the kernel died before it could send one.
  if (error !== null && progress.lastErrorNameJson !== JSON.stringify(error.name))
    outputs.push({ kind: 'error', ...error });
  const done: ExecutionOutcome = {
    status,
    errorName: error?.name ?? null,
    errorValue: error === null ? null : cutText(error.value, MAX_OUTCOME_ERROR_CHARS),
    executionCount: reply.executionCount,
    stateLost: verdict?.stateLost ?? false,
    cpuMs: verdict?.cpuMs ?? null,
    peakMemoryBytes: verdict?.peakMemoryBytes ?? null,
    startedAt: verdict?.startedAt ?? progress.startedAt,
    finishedAt: verdict?.finishedAt ?? reply.at,
    outputBytes: verdict?.outputBytes ?? progress.producedBytes,
    storedOutputBytes: storedOutputBytes(progress, outputs),
    truncated: progress.isTruncated || (verdict?.droppedBytes ?? 0) > 0,
    exitCode: verdict?.exitCode ?? null,
    signal: verdict?.signal ?? null,
    files: verdict?.files ?? null,
  };
  return { progress: { ...progress, isDone: true }, outputs, started: false, done };
}

/**
 * The size that the kept outputs of an execution count as stored: their content, and {@link BYTES_PER_ITEM} for each
 * output and each value nested in it. The progress has all of these numbers, so the stored outputs need not be read.
 * @param last outputs that are not in the progress
 */
export function storedOutputBytes(
  { keptBytes, keptOutputs, lateInputRequests = 0 }: ExecutionProgress,
  last: readonly Output[] = [],
): number {
  const sizes = last.map((output) => outputBytes(output) + outputItems(output) * BYTES_PER_ITEM);
  const kept = keptBytes + (keptOutputs + lateInputRequests) * BYTES_PER_ITEM;
  return sizes.reduce((sum, size) => sum + size, kept);
}
