/** Makes the messages of one kernel. */
import { isJsonObject } from '../../domain/exactJson.ts';
import type { EndStatus, Execution } from '../../domain/execution.ts';
import type { KernelFacts } from '../../domain/kernelQuestion.ts';
import type { Output } from '../../domain/output.ts';
import type { ExecuteRequest } from '../../service/execute/validateRequest.ts';
import type { Fields } from '../shared/body.ts';
import type { Channel, Header, Message } from './wire.ts';

/** The username in the headers of all messages that a kernel sends. */
const KERNEL_USERNAME = 'cellhouse';

export interface Sent {
  readonly channel: Channel;
  readonly type: string;
  readonly content: Fields;
}

export interface MessageFacts {
  readonly id: string;
  /** Identifies the kernel until its next restart. When it changes, clients drop what they wait for. */
  readonly session: string;
  readonly at: Date;
  /** The request that it answers. Null: none. */
  readonly parent: Header | null;
}

export function messageOf({ channel, type, content }: Sent, facts: MessageFacts): Message {
  const header = {
    msg_id: facts.id,
    msg_type: type,
    session: facts.session,
    username: KERNEL_USERNAME,
    date: facts.at.toISOString(),
    version: PROTOCOL_VERSION,
  };
  return { channel, header, parent_header: facts.parent ?? {}, metadata: {}, content };
}

/** A reply to a request. @param channel the channel of the request */
export function reply(channel: Channel, type: string, content: Fields): Sent {
  return { channel, type, content };
}

type KernelStatus = 'starting' | 'idle' | 'busy' | 'restarting' | 'dead';

export function status(state: KernelStatus): Sent {
  return { channel: 'iopub', type: 'status', content: { execution_state: state } };
}

/** How a client wants its cell to be run. Missing options have the defaults of Jupyter's protocol. */
export function cellOptions(
  content: Fields,
): Pick<
  ExecuteRequest,
  'stopOnError' | 'allowInput' | 'silent' | 'storeHistory' | 'userExpressions'
> {
  const silent = content.silent === true;
  const expressions = isJsonObject(content.user_expressions) ? content.user_expressions : {};
  const userExpressions = Object.entries(expressions).map(([name, code]) => ({
    name,
    code: String(code),
  }));
  return {
    // A silent cell that fails stops no other cells, because nobody sees its error.
    stopOnError: content.stop_on_error !== false && !silent,
    allowInput: content.allow_stdin !== false,
    silent,
    storeHistory: content.store_history !== false,
    userExpressions,
  };
}

/** The facts that hold for a kernel that cannot be asked, because its worker is away. */
const UNTOLD: KernelFacts = {
  protocolVersion: '',
  implementation: 'ipython',
  implementationVersion: '',
  banner: '',
  language: {
    name: 'python',
    version: '',
    mimetype: 'text/x-python',
    fileExtension: '.py',
    pygmentsLexer: 'ipython3',
    nbconvertExporter: 'python',
  },
};

/**
 * The reply to `kernel_info_request`. It has the protocol version of this door's messages.
 * @param facts as the kernel reports them. Null: it could not be asked
 */
export function kernelInfo(facts: KernelFacts | null): Fields {
  const { implementation, implementationVersion, banner, language } = facts ?? UNTOLD;
  return {
    status: 'ok',
    protocol_version: PROTOCOL_VERSION,
    implementation,
    implementation_version: implementationVersion,
    language_info: {
      name: language.name,
      version: language.version,
      mimetype: language.mimetype,
      file_extension: language.fileExtension,
      pygments_lexer: language.pygmentsLexer,
      codemirror_mode: { name: 'ipython', version: 3 },
      nbconvert_exporter: language.nbconvertExporter,
    },
    banner,
    help_links: [],
  };
}

// What clients get at an execution's end: an error that its outputs have not shown, and the reply.

type Ended = Pick<Execution, 'status' | 'errorName' | 'errorValue' | 'timeoutMs'>;

interface EndOfCell {
  /** The error to show before the reply. Null if the outputs have shown it, or if there is none. */
  readonly unshown: ErrorContent | null;
  readonly reply: Fields;
}

interface CellResult {
  /** The last error among the cell's outputs. */
  readonly shown: ErrorContent | null;
  /** The results of the cell's user expressions. */
  readonly expressions: Fields;
  /** The cell's execution count. */
  readonly count: number;
}

export function endOfCell(ended: Ended, { shown, expressions, count }: CellResult): EndOfCell {
  switch (ended.status as EndStatus) {
    case 'OK':
      return {
        unshown: null,
        reply: { status: 'ok', execution_count: count, payload: [], user_expressions: expressions },
      };
    // The cell never ran: it was cancelled because of an error of another cell, or interrupted before its turn.
    case 'CANCELLED':
      return { unshown: null, reply: { status: 'aborted' } };
    case 'ERROR':
    case 'INTERRUPTED':
    case 'TIMEOUT':
    case 'WORKER_LOST': {
      // The interrupt at the time limit may look like an error of the code itself.
      const isShown = shown !== null && ended.status !== 'TIMEOUT';
      const error = isShown ? shown : errorOf(ended);
      const unshown = isShown ? null : error;
      return { unshown, reply: { status: 'error', execution_count: count, ...error } };
    }
    default:
      return ended.status as never;
  }
}

/** The error for an end that no output has shown. */
function errorOf({ status, errorName, errorValue, timeoutMs }: Ended): ErrorContent {
  const traceback: string[] = [];
  switch (status) {
    case 'TIMEOUT':
      return {
        ename: 'TimeoutError',
        evalue: `The cell did not end within its limit of ${timeoutMs} ms.`,
        traceback,
      };
    case 'INTERRUPTED':
      return { ename: 'KeyboardInterrupt', evalue: '', traceback };
    case 'WORKER_LOST':
      return {
        ename: 'DeadKernelError',
        evalue: 'The worker of this kernel is gone, and its variables and files with it.',
        traceback,
      };
    default:
      return { ename: errorName ?? 'Error', evalue: errorValue ?? '', traceback };
  }
}

/**
 * The message that shows an output.
 * @param count the number of the cell, for a result that has none of its own
 */
export function outputMessage(
  output: Exclude<Output, { kind: 'expressions' }>,
  count: number,
): Sent {
  switch (output.kind) {
    case 'stream':
      return iopub('stream', { name: output.name, text: output.text });
    case 'display':
    case 'update': {
      const { data, metadata, displayId } = output;
      const transient = displayId === null ? {} : { display_id: displayId };
      const type = output.kind === 'display' ? 'display_data' : 'update_display_data';
      return iopub(type, { data, metadata, transient });
    }
    case 'result': {
      const { data, metadata, executionCount } = output;
      return iopub('execute_result', { data, metadata, execution_count: executionCount ?? count });
    }
    case 'error':
      return iopub('error', errorContent(output));
    case 'clear':
      return iopub('clear_output', { wait: output.wait });
    case 'input': {
      const { prompt, password } = output;
      return { channel: 'stdin', type: 'input_request', content: { prompt, password } };
    }
    case 'gap':
      return iopub('stream', { name: 'stderr', text: gapText(output) });
    default:
      return output satisfies never;
  }
}

/** An error as messages and replies contain it. */
export interface ErrorContent {
  readonly ename: string;
  readonly evalue: string;
  readonly traceback: readonly string[];
}

export function errorContent({
  name,
  value,
  traceback,
}: Omit<Extract<Output, { kind: 'error' }>, 'kind'>): ErrorContent & Record<string, unknown> {
  return { ename: name, evalue: value, traceback };
}

/** The results of a cell's user expressions, as its reply contains them. */
export function expressionsContent({
  results,
}: Extract<Output, { kind: 'expressions' }>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(results).map(([name, result]) => [
      name,
      result.status === 'ok'
        ? { status: 'ok', data: result.data, metadata: result.metadata }
        : { status: 'error', ...errorContent(result) },
    ]),
  );
}

function iopub(type: string, content: Sent['content']): Sent {
  return { channel: 'iopub', type, content };
}

function gapText({ reason, droppedBytes }: Extract<Output, { kind: 'gap' }>): string {
  const what = droppedBytes === null ? 'Some output' : `${droppedBytes} bytes of the output`;
  return `\n[Cellhouse: ${what} of this cell could not be kept (${reason}).]\n`;
}

// Finds the request that an execution answers. Every message of the execution names that request, at every gateway and
// to every client. So the request is kept in the execution's idempotency key. Because of the key, a repeated request
// does not run its code twice.

/** The prefix of the idempotency keys that this door makes. Callers of other doors may use it, too. */
const KEY_PREFIX = 'jupyter:';
const KEY_ENTRIES = 3;
const PROTOCOL_VERSION = '5.3';

/** The fields that identify a request. */
type Asker = Pick<Header, 'msg_id' | 'session'>;

/** The kernel is in the key, because a client may send requests with the same header to several kernels of one user. */
export function keyOf({ msg_id, session }: Asker, kernelId: string): string {
  return KEY_PREFIX + JSON.stringify([session, msg_id, kernelId]);
}

/** The request of a Jupyter client that the execution answers. Null: it came by another door. */
export function askerOf({ idempotencyKey: key }: Pick<Execution, 'idempotencyKey'>): Asker | null {
  if (!key?.startsWith(KEY_PREFIX)) return null;
  const entries = entriesIn(key.slice(KEY_PREFIX.length));
  if (entries.length !== KEY_ENTRIES) return null;
  const [session, msg_id] = entries;
  if (typeof session !== 'string' || typeof msg_id !== 'string') return null;
  return { msg_id, session };
}

/** The text may be anything, because callers choose idempotency keys themselves. */
function entriesIn(json: string): unknown[] {
  try {
    const value: unknown = JSON.parse(json);
    return Array.isArray(value) && !isJsonObject(value) ? value : [];
  } catch {
    return [];
  }
}

/**
 * The parent header of the execution's messages. If the execution came by another door, the header names no request
 * that a client has sent.
 */
export function parentHeaderOf(
  execution: Pick<Execution, 'id' | 'idempotencyKey' | 'requestedAt'>,
): Header {
  const asker = askerOf(execution) ?? { msg_id: execution.id, session: '' };
  return {
    ...asker,
    msg_type: 'execute_request',
    username: '',
    date: execution.requestedAt.toISOString(),
    version: PROTOCOL_VERSION,
  };
}
