/**
 * What has happened of one execution so far, as a pure fold over its messages.
 *
 * ```
 *  waiting --busy or output--> started --output*--> ... --reply and idle, in either order--> done
 *     |                           |
 *     +---------------------------+--(plain Jupyter Server) the kernel restarts or dies--> done
 * ```
 * It survives its gateway: a progress stored after message k (it is plain JSON that Postgres `jsonb` takes) and then given
 * the messages from k+1 on yields the same outputs and outcome as an uninterrupted run. Messages of another parent, and
 * all that come after done, change nothing.
 */
import type { ExecutionId } from '../../domain/ids.ts';
import type { Output } from '../../domain/output.ts';
import { cutText } from '../frames/errorFacts.ts';
import type { KernelMessage, OutputMessage, ReplyMessage } from '../frames/messages.ts';
import { outputBytes, outputItems } from '../frames/outputBytes.ts';
import { type ExecutionOutcome, judgeReply } from './executionOutcome.ts';
import { isPlainKernelDeath, kernelDiedReply } from './plainKernelDeath.ts';

export interface ExecutionProgress {
  readonly executionId: ExecutionId;
  readonly startedAt: number | null;
  readonly isIdle: boolean;
  readonly isDone: boolean;
  /** A {@link ReplyMessage} that waits for idle. As JSON text, for jsonb refuses what an error's text may hold. */
  readonly replyJson: string | null;
  /** The name in the last error output, as JSON text for the same reason. */
  readonly lastErrorNameJson: string | null;
  readonly producedBytes: number;
  readonly keptBytes: number;
  /** And the values in their data: see {@link outputItems}. */
  readonly keptOutputs: number;
  /** The limit is passed: nothing more is kept. */
  readonly isFull: boolean;
  /** Dropped since then. */
  readonly droppedBytes: number;
  readonly isTruncated: boolean;
}

export interface Received {
  readonly progress: ExecutionProgress;
  /** To be stored, in this order. */
  readonly outputs: readonly Output[];
  /** The kernel began it with this very message. */
  readonly started: boolean;
  /** Set exactly once, together with the last outputs. */
  readonly done: ExecutionOutcome | null;
}

/**
 * For so many bytes of the limit one output may be kept, or one value in the data of one: a row in the database costs about
 * that, and so does a list in memory, of which JSON needs four bytes to tell. A million empty outputs must not pass as zero
 * bytes, nor eight million lists as 32 MB. Their contents alone may still fill the limit exactly.
 */
const LIMIT_BYTES_PER_ITEM = 64;
/** Longest error text in the outcome, which goes into an event; the output has the longer form. */
const MAX_OUTCOME_ERROR_CHARS = 10_000;

export function startProgress(executionId: ExecutionId): ExecutionProgress {
  return {
    executionId,
    startedAt: null,
    isIdle: false,
    isDone: false,
    replyJson: null,
    lastErrorNameJson: null,
    producedBytes: 0,
    keptBytes: 0,
    keptOutputs: 0,
    isFull: false,
    droppedBytes: 0,
    isTruncated: false,
  };
}

/** Takes in one message. Never throws. */
export function receive(
  progress: ExecutionProgress,
  message: KernelMessage,
  limits: { readonly maxOutputBytes: number },
): Received {
  if (progress.isDone) return unchanged(progress);
  if (isPlainKernelDeath(message)) return finish(progress, kernelDiedReply(message));
  if (message.parentId !== progress.executionId) return unchanged(progress);
  switch (message.type) {
    case 'status':
      if (message.state === 'busy') return begin(progress, message.at);
      return message.state === 'idle' ? becomeIdle(progress) : unchanged(progress);
    case 'output':
      return takeOutput(progress, message, limits.maxOutputBytes);
    case 'reply':
      if (progress.replyJson !== null) return unchanged(progress);
      if (progress.isIdle) return finish(progress, message);
      return unchanged({ ...progress, replyJson: JSON.stringify(message) });
    default:
      return message satisfies never;
  }
}

function unchanged(progress: ExecutionProgress): Received {
  return { progress, outputs: [], started: false, done: null };
}

function begin(progress: ExecutionProgress, at: number): Received {
  if (progress.startedAt !== null) return unchanged(progress);
  return { ...unchanged({ ...progress, startedAt: at }), started: true };
}

function becomeIdle(progress: ExecutionProgress): Received {
  if (progress.replyJson === null) return unchanged({ ...progress, isIdle: true });
  return finish(progress, JSON.parse(progress.replyJson) as ReplyMessage);
}

function takeOutput(before: ExecutionProgress, message: OutputMessage, maxBytes: number): Received {
  const { output } = message;
  const bytes = outputBytes(output);
  const items = outputItems(output);
  const isFull =
    before.isFull ||
    before.keptBytes + bytes > maxBytes ||
    (before.keptOutputs + items) * LIMIT_BYTES_PER_ITEM > maxBytes;
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

/** A gap of a plain Jupyter Server may claim anything; a sum must stay a number that can be stored. */
function sum(bytes: number, more: number): number {
  return Math.min(bytes + more, Number.MAX_SAFE_INTEGER);
}

function finish(progress: ExecutionProgress, reply: ReplyMessage): Received {
  const { status, error } = judgeReply(reply);
  const { verdict } = reply;
  const outputs: Output[] = [];
  if (progress.isFull)
    outputs.push({ kind: 'gap', reason: 'output_limit', droppedBytes: progress.droppedBytes });
  // Whoever reads only the outputs must learn of the error too, also where the kernel could not say it any more.
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
    truncated: progress.isTruncated || (verdict?.droppedBytes ?? 0) > 0,
    exitCode: verdict?.exitCode ?? null,
  };
  return { progress: { ...progress, isDone: true }, outputs, started: false, done };
}
