/**
 * The life of an execution.
 *
 * ```
 *  (none) --request--> QUEUED --start--> RUNNING --finish--> OK | ERROR | TIMEOUT | INTERRUPTED | WORKER_LOST | CANCELLED
 *                         |                                     ^
 *                         +---------------finish----------------+   (never started: CANCELLED or WORKER_LOST)
 * ```
 * A request to interrupt an execution is recorded, and the gateway that holds its worker carries it out. The request
 * changes no state: only the end shows whether the interrupt took effect. Input is recorded and carried out in the same
 * way; the state has only its length. An execution starts at most once and ends exactly once: a second start or finish
 * records nothing. If the start was never recorded, a finish with a start time records both, in order.
 */

import { isUtf8 } from 'node:buffer';
import { type Event, missingStart, WrongStateError } from './decider.ts';
import type { ExecutionFiles } from './executionFiles.ts';
import {
  type ExecutionOptions,
  isCommand,
  keepsAlive,
  type Language,
  type StoredOptions,
  storedOptions,
} from './executionOptions.ts';
import type { ContextId, ExecutionId, SessionId, WorkerId } from './ids.ts';
import { storableText } from './text.ts';

export type EndStatus = 'OK' | 'ERROR' | 'TIMEOUT' | 'INTERRUPTED' | 'WORKER_LOST' | 'CANCELLED';

export type ExecutionEvent =
  | Event<
      'ExecutionRequested',
      {
        executionId: ExecutionId;
        sessionId: SessionId;
        workerId: WorkerId;
        tenant: string;
        userUuid: string;
        code: string;
        codeSha256: string;
        codeBytes: number;
        timeoutMs: number;
        maxOutputBytes: number;
        idempotencyKey: string | null;
        /** Whether variables were already lost when it was accepted (see SessionOpened.followsLoss). */
        stateLost: boolean;
      } & ExecutionOptions
    >
  | Event<
      'InterruptRequested',
      {
        /** The signal that a command gets. Left out for SIGINT. A cell always gets SIGINT. */
        signal?: InterruptSignal;
      }
    >
  | Event<'InputSent', InputPiece>
  | Event<
      'ExecutionStarted',
      {
        /** The number of the cell. Left out if it has none, or if its worker does not report it. */
        executionCount?: number;
        /**
         * The process id of a command, as seen in its worker. Left out for a cell, or if the worker does not report it.
         */
        pid?: number;
      }
    >
  | Event<
      'ExecutionFinished',
      {
        status: EndStatus;
        executionCount: number | null;
        errorName: string | null;
        /** Shortened. The whole text is in the error output. */
        errorValue: string | null;
        stateLost: boolean;
        truncated: boolean;
        queuedMs: number;
        /** From the start of the execution to its end. Null if it never started. */
        runMs: number | null;
        cpuMs: number | null;
        peakMemoryBytes: number | null;
        outputBytes: number;
        /**
         * How many bytes of the quota STORED_BYTES its kept outputs use: their content, and 64 bytes for each output
         * and for each value nested in it.
         */
        storedOutputBytes: number;
        /**
         * For a command: its exit code. For a cell: the exit code of its kernel if that died during this execution,
         * negative for a signal. Since schema version 2.
         */
        exitCode: number | null;
        /** The signal that ended a command, such as `SIGKILL`. Left out for cells, and for commands that exited. */
        signal?: string | null;
        /** The files that it changed in the home. Null if it never ran, or if the agent did not report them. */
        files: ExecutionFiles | null;
        /** If `stopOnError` cancelled this execution: the execution whose failure did so. Otherwise left out. */
        stoppedBy?: ExecutionId;
      }
    >;

/** The signals that a command may get in place of SIGINT. SIGKILL leaves it no grace time. */
export type InterruptSignal = 'SIGTERM' | 'SIGKILL';

/** The facts about an ended execution that metrics count. */
export type ExecutionEnd = Pick<Finished, 'status' | 'queuedMs' | 'runMs'>;

/** The state that an execution's events fold into, and the row of its table. `version` is the stream's version. */
export interface Execution {
  readonly id: ExecutionId;
  readonly version: number;
  readonly tenant: string;
  readonly userUuid: string;
  readonly sessionId: SessionId;
  readonly workerId: WorkerId;
  readonly status: 'QUEUED' | 'RUNNING' | EndStatus;
  /** The code itself can be a megabyte, so it is only in ExecutionRequested. */
  readonly codeSha256: string;
  readonly codeBytes: number;
  readonly timeoutMs: number;
  readonly maxOutputBytes: number;
  readonly idempotencyKey: string | null;
  readonly requestedAt: Date;
  readonly startedAt: Date | null;
  readonly finishedAt: Date | null;
  /**
   * The number of the cell, which is known from its start on, and stays. For a silent cell: the number in the kernel's
   * reply, which is that of the last cell in the history.
   */
  readonly executionCount: number | null;
  /** The process id of a command, from its start on. Null for cells, and if the worker does not report it. */
  readonly pid: number | null;
  readonly errorName: string | null;
  readonly errorValue: string | null;
  readonly stateLost: boolean;
  readonly truncated: boolean;
  readonly queuedMs: number | null;
  readonly runMs: number | null;
  readonly cpuMs: number | null;
  readonly peakMemoryBytes: number | null;
  readonly outputBytes: number;
  /** Null if it has not ended, or if it ended at a gateway of a release that did not count this. */
  readonly storedOutputBytes: number | null;
  readonly files: ExecutionFiles | null;
  readonly language: Language;
  /** Null: the session's default context, or a command. */
  readonly contextId: ContextId | null;
  /**
   * The exit code of a command that exited. Null for a cell: if its kernel died, the kernel's exit code is only in
   * ExecutionFinished.
   */
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** Whether its session counts as in use while it runs. */
  readonly keepsAlive: boolean;
  /** How much input was recorded for it. */
  readonly inputBytes: number;
  /** Whether no more input can follow. */
  readonly inputClosed: boolean;
  readonly options: StoredOptions | null;
  /** The execution with `stopOnError` whose end cancelled it. */
  readonly stoppedBy: ExecutionId | null;
}

/** How an execution ended, as reported by its worker's channel or by the gateway that ended it. */
export interface Ending {
  readonly status: EndStatus;
  readonly executionCount: number | null;
  readonly errorName: string | null;
  readonly errorValue: string | null;
  readonly stateLost: boolean;
  readonly truncated: boolean;
  readonly cpuMs: number | null;
  readonly peakMemoryBytes: number | null;
  readonly outputBytes: number;
  readonly storedOutputBytes: number;
  readonly exitCode: number | null;
  readonly signal?: string | null;
  readonly files: ExecutionFiles | null;
  readonly stoppedBy?: ExecutionId;
}

/** The beginning of an execution, as its worker reports it. */
interface Start {
  /** By the worker's clock. */
  readonly at: string;
  /** The number of the cell, if the worker reports it. */
  readonly executionCount?: number;
  /** The process id of the command, if the worker reports it. */
  readonly pid?: number;
}

export type ExecutionCommand =
  | ({
      readonly type: 'RequestExecution';
      readonly at: string;
      readonly executionId: ExecutionId;
      readonly sessionId: SessionId;
      readonly workerId: WorkerId;
      readonly tenant: string;
      readonly userUuid: string;
      readonly code: string;
      readonly codeSha256: string;
      readonly codeBytes: number;
      readonly timeoutMs: number;
      readonly maxOutputBytes: number;
      readonly idempotencyKey: string | null;
      readonly stateLost: boolean;
    } & ExecutionOptions)
  | {
      readonly type: 'RequestInterrupt';
      readonly at: string;
      /** Left out: SIGINT. */
      readonly signal?: InterruptSignal;
    }
  | ({ readonly type: 'SendInput'; readonly at: string } & InputPiece)
  | ({ readonly type: 'RecordStart' } & Start)
  | {
      readonly type: 'FinishExecution';
      readonly at: string;
      /** The beginning, which is recorded if it is not recorded yet. Null if the execution never began. */
      readonly start: Start | null;
      readonly ending: Ending;
    };

/** Longest error text kept in the event and the row. The whole text is in the error output. */
const MAX_ERROR_VALUE_CHARS = 1_000;
const MAX_ERROR_NAME_CHARS = 200;

/**
 * The events that a command on an execution records. Pure.
 * @throws WrongStateError if the command does not fit the state
 */
export function decideExecution(
  command: ExecutionCommand,
  execution: Execution | null,
): ExecutionEvent[] {
  if (command.type === 'RequestExecution') {
    if (execution !== null) throw new WrongStateError('execution', execution.status, command.type);
    const { type: _, ...data } = command;
    return [{ type: 'ExecutionRequested', data }];
  }
  if (execution === null) throw new WrongStateError('execution', 'not requested', command.type);
  if (execution.finishedAt !== null) return [];
  switch (command.type) {
    case 'RequestInterrupt':
      return [interrupt(command, execution)];
    case 'SendInput':
      return [sendInput(command, execution)];
    case 'RecordStart':
      return begin(command, execution);
    case 'FinishExecution':
      return finish(command, execution);
    default:
      return command satisfies never;
  }
}

/** A cell gets SIGINT only: any other signal would end its kernel. */
function interrupt(
  { type: _, ...data }: Extract<ExecutionCommand, { type: 'RequestInterrupt' }>,
  { language }: Execution,
): ExecutionEvent {
  if (data.signal !== undefined && language !== 'BASH')
    throw new WrongStateError('execution', 'a cell', `RequestInterrupt with ${data.signal}`);
  return { type: 'InterruptRequested', data };
}

/** Input is closed at most once, and each piece must begin where the recorded input ends. */
function sendInput(
  { type: _, ...data }: Extract<ExecutionCommand, { type: 'SendInput' }>,
  { options, inputBytes, inputClosed }: Execution,
): ExecutionEvent {
  if (options?.allowInput !== true)
    throw new WrongStateError('execution', 'without input', 'SendInput');
  if (inputClosed) throw new WrongStateError('input', 'closed', 'SendInput');
  if (data.offset !== inputBytes)
    throw new WrongStateError('input', `at ${inputBytes}`, `SendInput at ${data.offset}`);
  return { type: 'InputSent', data };
}

function begin({ at, executionCount, pid }: Start, execution: Execution): ExecutionStarted[] {
  if (execution.startedAt !== null) return [];
  const data = {
    at: notBefore(at, execution),
    ...(executionCount !== undefined && { executionCount }),
    ...(pid !== undefined && { pid }),
  };
  return [{ type: 'ExecutionStarted', data }];
}

function finish(
  command: Extract<ExecutionCommand, { type: 'FinishExecution' }>,
  execution: Execution,
): ExecutionEvent[] {
  const started = command.start === null ? [] : begin(command.start, execution);
  const startedAt = execution.startedAt ?? (started[0] ? new Date(started[0].data.at) : null);
  const at = notBefore(command.at, execution);
  const endMs = Date.parse(at);
  const { ending } = command;
  return [
    ...started,
    {
      type: 'ExecutionFinished',
      data: {
        at,
        ...ending,
        stateLost: ending.stateLost || execution.stateLost,
        errorName: ending.errorName?.slice(0, MAX_ERROR_NAME_CHARS) ?? null,
        errorValue: ending.errorValue?.slice(0, MAX_ERROR_VALUE_CHARS) ?? null,
        queuedMs: (startedAt?.getTime() ?? endMs) - execution.requestedAt.getTime(),
        runMs: startedAt === null ? null : Math.max(0, endMs - startedAt.getTime()),
      },
    },
  ];
}

/** `at`, but not before the request: a clock may have been set back, and a hostile worker can report any time. */
function notBefore(at: string, execution: Execution): string {
  return Date.parse(at) >= execution.requestedAt.getTime()
    ? at
    : execution.requestedAt.toISOString();
}

/**
 * The execution after `event`. Pure. It accepts every recorded event. Error texts are made storable here, so that this
 * state equals the row read back; the exact texts are in the event and the error output.
 * @throws Error if the stream's first event is missing
 */
export function evolveExecution(state: Execution | null, event: ExecutionEvent): Execution {
  if (event.type === 'ExecutionRequested') return requested(event.data, state?.version ?? 0);
  if (state === null) throw missingStart(event.type);
  const next = { ...state, version: state.version + 1 };
  switch (event.type) {
    case 'InterruptRequested':
      return next;
    case 'InputSent': {
      const { bytes, close } = event.data;
      return { ...next, inputBytes: state.inputBytes + bytes, inputClosed: close };
    }
    case 'ExecutionStarted':
      return {
        ...next,
        status: 'RUNNING',
        startedAt: new Date(event.data.at),
        executionCount: event.data.executionCount ?? null,
        pid: event.data.pid ?? null,
      };
    case 'ExecutionFinished':
      return finished(next, event.data);
    default:
      return event satisfies never;
  }
}

type ExecutionStarted = Extract<ExecutionEvent, { type: 'ExecutionStarted' }>;
type Requested = Extract<ExecutionEvent, { type: 'ExecutionRequested' }>['data'];
type Finished = Extract<ExecutionEvent, { type: 'ExecutionFinished' }>['data'];

function requested(data: Requested, version: number): Execution {
  return {
    id: data.executionId,
    version: version + 1,
    tenant: data.tenant,
    userUuid: data.userUuid,
    sessionId: data.sessionId,
    workerId: data.workerId,
    status: 'QUEUED',
    codeSha256: data.codeSha256,
    codeBytes: data.codeBytes,
    timeoutMs: data.timeoutMs,
    maxOutputBytes: data.maxOutputBytes,
    idempotencyKey: data.idempotencyKey,
    requestedAt: new Date(data.at),
    startedAt: null,
    finishedAt: null,
    executionCount: null,
    pid: null,
    errorName: null,
    errorValue: null,
    stateLost: data.stateLost,
    truncated: false,
    queuedMs: null,
    runMs: null,
    cpuMs: null,
    peakMemoryBytes: null,
    outputBytes: 0,
    storedOutputBytes: null,
    files: null,
    language: data.language ?? 'PYTHON',
    contextId: data.contextId ?? null,
    exitCode: null,
    signal: null,
    keepsAlive: keepsAlive(data),
    inputBytes: 0,
    inputClosed: false,
    options: storedOptions(data),
    stoppedBy: null,
  };
}

function finished(state: Execution, data: Finished): Execution {
  return {
    ...state,
    status: data.status,
    finishedAt: new Date(data.at),
    // The number from the start stays: the kernel's reply to a cell outside of the history has the number before it.
    executionCount: state.executionCount ?? data.executionCount,
    errorName: data.errorName === null ? null : storableText(data.errorName),
    errorValue: data.errorValue === null ? null : storableText(data.errorValue),
    stateLost: data.stateLost,
    truncated: data.truncated,
    queuedMs: data.queuedMs,
    runMs: data.runMs,
    cpuMs: data.cpuMs,
    peakMemoryBytes: data.peakMemoryBytes,
    outputBytes: data.outputBytes,
    storedOutputBytes: data.storedOutputBytes,
    files: data.files,
    exitCode: state.language === 'BASH' ? data.exitCode : null,
    signal: data.signal ?? null,
    stoppedBy: data.stoppedBy ?? null,
  };
}

/** A queue of one session: all its commands, one of its contexts, or (null) its default context. */
export type Queue = 'commands' | ContextId | null;

/**
 * The queue of an execution. All executions of a queue share one limit. If an execution with `stopOnError` does not end
 * OK, the executions behind it in its queue are cancelled. The executions of a context run one after another. Commands
 * wait only while too many of them run. The database counts by the same rule (`migrations/sql/cellhouse_commit.sql`).
 */
export function queueOf(execution: Pick<Execution, 'language' | 'contextId'>): Queue {
  return isCommand(execution) ? 'commands' : execution.contextId;
}

// Input that a user sends to an execution while it runs: standard input of a command, answers to `input()` of a cell.

/** A piece of input, as recorded. Input can make code do things, so it is recorded like code. */
export interface InputPiece {
  /** How many bytes of input were before it. */
  readonly offset: number;
  readonly bytes: number;
  /** Whether the input ends with it. */
  readonly close: boolean;
  /** Left out if it is not UTF-8, if it is secret, or if there is none. */
  readonly text?: string;
  /** The bytes in base64, if they are not UTF-8 and not secret. */
  readonly base64?: string;
}

/** The content of a piece in the form in which it is recorded. */
export function recordedContent(bytes: Buffer): Pick<InputPiece, 'text' | 'base64'> {
  if (bytes.length === 0) return {};
  return isUtf8(bytes) ? { text: bytes.toString('utf8') } : { base64: bytes.toString('base64') };
}

/** The bytes of a recorded piece. Null if they were secret: the event does not contain them. */
export function contentOfPiece({ bytes, text, base64 }: InputPiece): Buffer | null {
  if (text !== undefined) return Buffer.from(text);
  if (base64 !== undefined) return Buffer.from(base64, 'base64');
  return bytes === 0 ? Buffer.alloc(0) : null;
}

/** A command that runs. Its code is not in its state. */
export interface RunningCommand {
  readonly execution: Execution;
  readonly code: string;
}

/** A command that was found by its process id or its label. */
export interface FoundCommand {
  readonly execution: Execution;
  /** Seq of the last stored output; 0 if there is none. */
  readonly lastSeq: number;
}
