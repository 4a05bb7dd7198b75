/**
 * What a worker can say, as the rest of the gateway sees it: checked, bounded, and reduced to what matters. The wire
 * form is Jupyter's (https://jupyter-client.readthedocs.io/en/stable/messaging.html) with the additions of
 * docs/worker-protocol.md; {@link parseFrame} makes these out of it.
 */
import type { Output } from '../../domain/output.ts';

interface MessageBase {
  /** The agent's number for it, from 1 without holes; null from a plain Jupyter Server. */
  readonly seq: number | null;
  /** When the agent had it (else: when it arrived here), milliseconds since the epoch. */
  readonly at: number;
  /** `msg_id` of the request it belongs to; null if it belongs to none. */
  readonly parentId: string | null;
}

export type KernelState = 'busy' | 'idle' | 'starting' | 'restarting' | 'dead';

/** Without a parent and `restarting`: the kernel is being replaced, for `reason` (null from a plain Jupyter Server). */
export interface StatusMessage extends MessageBase {
  readonly type: 'status';
  readonly state: KernelState;
  readonly reason: 'timeout' | 'user' | 'died' | 'oom' | null;
}

/** One output. What the code sent in a form that cannot be kept is a gap with reason `malformed`, never silence. */
export interface OutputMessage extends MessageBase {
  readonly type: 'output';
  readonly output: Output;
}

export interface ErrorFacts {
  readonly name: string;
  readonly value: string;
  readonly traceback: readonly string[];
}

export interface ReplyMessage extends MessageBase {
  readonly type: 'reply';
  readonly status: 'ok' | 'error' | 'aborted';
  readonly executionCount: number | null;
  /** Given exactly if `status` is not `ok`. */
  readonly error: ErrorFacts | null;
  /** Null from a plain Jupyter Server. */
  readonly verdict: AgentVerdict | null;
}

export type KernelMessage = StatusMessage | OutputMessage | ReplyMessage;

/** `metadata.cellhouse` of an execute_reply: how it went, by the agent's measure. */
export interface AgentVerdict {
  readonly outcome: 'finished' | 'timeout' | 'interrupted' | 'kernel_died' | 'out_of_memory';
  readonly stateLost: boolean;
  readonly startedAt: number | null;
  readonly finishedAt: number | null;
  readonly cpuMs: number | null;
  readonly peakMemoryBytes: number | null;
  readonly outputBytes: number | null;
  readonly droppedBytes: number;
  readonly exitCode: number | null;
}

/** The agent's first words on each connection. */
export interface Hello {
  /** New for each start of the agent: whatever an earlier one had is gone. */
  readonly bootId: string;
  /** The oldest message it can still replay. */
  readonly firstSeq: number;
  /** The newest it has made; 0 if none yet. */
  readonly lastSeq: number;
  readonly kernelGeneration: number;
}
