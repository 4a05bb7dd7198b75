/** A piece of code for a kernel. */
export interface ExecuteRequest {
  /** The execution's id: the agent forwards one `msgId` at most once in its life, so sending it again is harmless. */
  readonly msgId: string;
  readonly code: string;
  readonly timeoutMs: number;
  /** How long code may ignore the interrupt after a timeout before its kernel is replaced. */
  readonly graceMs: number;
  readonly maxOutputBytes: number;
}

/** The messaging protocol version whose messages we speak. */
const JUPYTER_PROTOCOL_VERSION = '5.3';

/**
 * The frame that asks for it. `JSON.stringify` escapes U+0000 and lone surrogates, so the code arrives exactly as it is.
 * @param now milliseconds since the epoch
 */
export function executeRequestFrame(request: ExecuteRequest, session: string, now: number): string {
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
      },
    },
    content: {
      code: request.code,
      silent: false,
      store_history: true,
      user_expressions: {},
      // Nobody is there to answer `input()`: it fails at once with Python's own message.
      allow_stdin: false,
      // One's failure is no reason to drop what is queued behind it.
      stop_on_error: false,
    },
    buffers: [],
  });
}
