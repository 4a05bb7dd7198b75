import type { Terminal } from '../../domain/executionOptions.ts';
import type { UserExpression } from '../../domain/userExpressions.ts';

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
