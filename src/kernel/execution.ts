/**
 * One execution, as it is sent to an agent and reported by the agent: its request, its progress, and its outcome. The
 * progress is a pure fold over the agent's messages.
 *
 * ```
 *  waiting --busy or output--> started --output*--> ... --reply--> done
 * ```
 * A progress can outlive its gateway. It is plain JSON that PostgreSQL's `jsonb` accepts. If it is stored after message
 * k and then receives the messages from k+1 on, it yields the same outputs and outcome as an uninterrupted run.
 * Messages of another parent, and all messages after done, change nothing.
 */
import type { ExecutionFiles } from '../domain/executionFiles.ts';
import type { Terminal, UserExpression } from '../domain/executionOptions.ts';
import type { ExecutionId } from '../domain/ids.ts';
import type { InputRequest, Output } from '../domain/output.ts';
import { BYTES_PER_ITEM, outputBytes, outputItems } from './frames/json.ts';
import type {
  ErrorFacts,
  KernelMessage,
  OutputMessage,
  ReplyMessage,
  StatusMessage,
} from './frames/messages.ts';
import { cutText } from './frames/parseFrame.ts';

/** A request to run a piece of code in a kernel, or as a command. */
export interface ExecuteMessage {
  /** The execution's id. The agent forwards each `msgId` at most once, so sending a request again is harmless. */
  readonly msgId: string;
  readonly code: string;
  readonly timeoutMs: number;
  /** How long code may ignore the interrupt after a timeout before its kernel is replaced. */
  readonly graceMs: number;
  readonly maxOutputBytes: number;
  /** The code is a shell command, not a cell. */
  readonly isCommand?: true;
  /** The execution's own environment variables, by name. Left out: none. */
  readonly environment?: Readonly<Record<string, string>>;
  /** An absolute path. Left out: the context's current folder, or the home folder for a command. */
  readonly workingDirectory?: string;
  /** Whether the code may wait for input. */
  readonly allowInput?: true;
  readonly silent?: true;
  readonly storeHistory?: false;
  readonly userExpressions?: readonly UserExpression[];
  /** The terminal of a command. */
  readonly pty?: Terminal;
  /** Left out: the default context, or a command. */
  readonly context?: {
    readonly id: string;
    /** The folder that the context was created with. Null: the home folder. */
    readonly workingDirectory: string | null;
  };
}

/** The version of Jupyter's messaging protocol that the gateway uses. */
const JUPYTER_PROTOCOL_VERSION = '5.3';

/**
 * The frame for a request. `JSON.stringify` escapes U+0000 and lone surrogates, so the code arrives unchanged.
 * @param now milliseconds since the epoch
 */
export function executeRequestFrame(request: ExecuteMessage, session: string, now: number): string {
  return JSON.stringify({
    channel: 'shell',
    header: {
      msg_id: request.msgId,
      msg_type: 'execute_request',
      username: '',
      session,
      date: new Date(now).toISOString(),
      version: JUPYTER_PROTOCOL_VERSION,
    },
    parent_header: {},
    metadata: {
      cellhouse: {
        timeout_ms: request.timeoutMs,
        grace_ms: request.graceMs,
        max_output_bytes: request.maxOutputBytes,
        ...(request.isCommand && { language: 'bash' }),
        ...(request.environment && { environment: request.environment }),
        ...(request.workingDirectory !== undefined && {
          working_directory: request.workingDirectory,
        }),
        ...(request.isCommand && request.allowInput && { stdin: true }),
        ...(request.pty && { pty: request.pty }),
        ...(request.context && {
          context: {
            id: request.context.id,
            working_directory: request.context.workingDirectory,
          },
        }),
      },
    },
    content: {
      code: request.code,
      silent: request.silent ?? false,
      store_history: !request.silent && (request.storeHistory ?? true),
      user_expressions: Object.fromEntries(
        (request.userExpressions ?? []).map(({ name, code }) => [name, code]),
      ),
      // If nobody can answer `input()`, it fails immediately with Python's own message.
      allow_stdin: request.allowInput === true && !request.isCommand,
      // A failed execution does not cancel the executions queued behind it.
      stop_on_error: false,
    },
    buffers: [],
  });
}

/** The agent has the same limits (cellhouse_agent/executions/record.py). */
const MAX_LATE_INPUT_REQUESTS = 1_000;
const MAX_LATE_PROMPT_CHARS = 100;

/**
 * Shortens a request for input that exceeds the output limit. Such a request is kept, because the code waits for an
 * answer. Null: the maximum number of these requests is reached, so this one is dropped. The last kept request counts
 * as a request for a password. Later requests are not reported, and an answer to one of them may be a password.
 * @param count how many requests were kept in this way before
 */
function lateInputRequest(
  { kind, prompt, password }: InputRequest,
  count: number,
): InputRequest | null {
  if (count >= MAX_LATE_INPUT_REQUESTS) return null;
  const isLast = count + 1 === MAX_LATE_INPUT_REQUESTS;
  return { kind, prompt: cutText(prompt, MAX_LATE_PROMPT_CHARS), password: password || isLast };
}

/**
 * How an execution that reached the kernel ended. Its statuses are those that follow from a kernel's answer.
 * docs/use/running-code.md lists all statuses.
 */
export interface ExecutionOutcome {
  readonly status: 'OK' | 'ERROR' | 'TIMEOUT' | 'INTERRUPTED';
  /**
   * `errorName` and `errorValue` are null unless `status` is ERROR. They may hold anything that a Python `str` can
   * (U+0000, lone surrogates).
   */
  readonly errorName: string | null;
  /** Shortened; the error output has more of the text. */
  readonly errorValue: string | null;
  readonly executionCount: number | null;
  /** The kernel was replaced during the execution, so its variables are gone. */
  readonly stateLost: boolean;
  readonly cpuMs: number | null;
  readonly peakMemoryBytes: number | null;
  /** Milliseconds since the epoch. Null if the kernel never began the execution. */
  readonly startedAt: number | null;
  readonly finishedAt: number;
  /** How many bytes of output the code produced, including output that was not kept. */
  readonly outputBytes: number;
  /** How many bytes the kept outputs count as stored ({@link storedOutputBytes}). */
  readonly storedOutputBytes: number;
  /** Some output was not kept; gap outputs mark where. */
  readonly truncated: boolean;
  /** The exit code of a command, or of a kernel that died (negative: a signal), otherwise null. */
  readonly exitCode: number | null;
  /** The signal that ended a command, otherwise null. */
  readonly signal: string | null;
  /** The agent's report of the files that the execution changed in the home folder. Null if it sent none. */
  readonly files: ExecutionFiles | null;
}

interface Judgement {
  readonly status: ExecutionOutcome['status'];
  readonly error: ErrorFacts | null;
}

/** The status that a reply means, with the error if the status is ERROR. */
function judgeReply(reply: ReplyMessage, isCommand: boolean): Judgement {
  const outcome = reply.verdict?.outcome;
  switch (outcome) {
    // After a timeout or an interrupt, the reply of the code itself does not matter.
    case 'timeout':
      return { status: 'TIMEOUT', error: null };
    case 'interrupted':
      return { status: 'INTERRUPTED', error: null };
    case 'kernel_died':
      return { status: 'ERROR', error: renamed(reply, 'KernelDied') };
    case 'out_of_memory':
      return { status: 'ERROR', error: renamed(reply, 'OutOfMemory') };
    case 'finished':
    case undefined:
      return isCommand && reply.status === 'ok' ? judgeCommand(reply) : judgePlainReply(reply);
    default:
      return outcome satisfies never;
  }
}

/** The agent reports how a command's process ended, but not whether that is an error. Exit code 0 is not an error. */
function judgeCommand({ verdict }: ReplyMessage): Judgement {
  const { exitCode = null, signal = null } = verdict ?? {};
  if (exitCode === 0 && signal === null) return { status: 'OK', error: null };
  const value = signal ?? (exitCode === null ? 'unknown' : `exit code ${exitCode}`);
  const said = signal === null ? value : `signal ${value}`;
  return { status: 'ERROR', error: { name: 'CommandFailed', value: said, traceback: [] } };
}

function judgePlainReply(reply: ReplyMessage): Judgement {
  if (reply.status === 'ok') return { status: 'OK', error: null };
  // An abort is unexpected, because the gateway sends `stop_on_error: false`. So it is reported as an error.
  return {
    status: 'ERROR',
    error: reply.status === 'aborted' ? renamed(reply, 'Aborted') : reply.error,
  };
}

function renamed(reply: ReplyMessage, name: string): ErrorFacts {
  return { value: reply.error?.value ?? '', traceback: reply.error?.traceback ?? [], name };
}

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
interface ReceivedFor {
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
 *
 * The agent enforces the limit in bytes, too (`record.py`), to save memory. This check does not rely on the agent.
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
 * How many bytes the kept outputs of an execution count as stored, for the quota STORED_BYTES: their content, and
 * {@link BYTES_PER_ITEM} for each output and each value nested in it. The progress has all of these numbers, so the
 * stored outputs need not be read.
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
