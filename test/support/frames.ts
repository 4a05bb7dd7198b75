/** Frames as a worker sends them (docs/internals/worker-protocol.md), as input for the code that reads them. */
import type { KernelMessage } from '../../src/kernel/frames/messages.ts';
import { parseFrame } from '../../src/kernel/frames/parseFrame.ts';

export interface FrameOptions {
  readonly parent?: string | null;
  readonly seq?: number;
  readonly at?: number;
  readonly metadata?: unknown;
  readonly channel?: string;
}

/** One Jupyter message as JSON text. */
export function frame(type: string, content: unknown, options: FrameOptions = {}): string {
  const { parent = null, seq = 1, at, metadata = {} } = options;
  return JSON.stringify({
    channel: options.channel ?? (type.endsWith('_reply') ? 'shell' : 'iopub'),
    header: { msg_id: `m-${type}`, msg_type: type, session: 's', username: 'u', version: '5.3' },
    parent_header: parent === null ? {} : { msg_id: parent },
    metadata,
    content,
    buffers: [],
    seq,
    at,
  });
}

export const status = (state: string, options?: FrameOptions): string =>
  frame('status', { execution_state: state }, options);

export const stream = (text: string, options?: FrameOptions): string =>
  frame('stream', { name: 'stdout', text }, options);

export const errorOutput = (ename: string, options?: FrameOptions): string =>
  frame('error', { ename, evalue: 'v', traceback: ['t'] }, options);

export const okReply = (options?: FrameOptions): string =>
  frame('execute_reply', { status: 'ok', execution_count: 7 }, options);

export const errorReply = (ename: string, options?: FrameOptions): string =>
  frame(
    'execute_reply',
    { status: 'error', execution_count: 7, ename, evalue: 'v', traceback: ['t'] },
    options,
  );

/** The agent's verdict in a reply, as metadata. */
export const verdict = (outcome: string, more: Record<string, unknown> = {}): unknown => ({
  cellhouse: {
    outcome,
    state_lost: false,
    started_at: 1_000,
    finished_at: 2_000,
    cpu_ms: 12.5,
    peak_memory_bytes: 4_096,
    output_bytes: 3,
    dropped_bytes: 0,
    exit_code: null,
    ...more,
  },
});

/** The message in a frame. @throws if there is none */
export function messageIn(text: string): KernelMessage {
  const parsed = parseFrame(text, 5_000);
  if (parsed.type !== 'message') throw new Error(`No message: ${parsed.type}`);
  return parsed.message;
}
