/**
 * A worker's messages as the rest of the gateway sees them: checked, bounded, and reduced to what matters. The wire
 * format is Jupyter's (https://jupyter-client.readthedocs.io/en/stable/messaging.html) with the additions in
 * docs/internals/worker-protocol.md. {@link parseFrame} converts it.
 */
import type { ExecutionFiles } from '../../domain/executionFiles.ts';
import type { Output } from '../../domain/output.ts';

interface MessageBase {
  /** The agent numbers its messages from 1, without holes. */
  readonly seq: number;
  /**
   * When the agent received the message from the kernel, or if that is unknown, when the message arrived here. In
   * milliseconds since the epoch.
   */
  readonly at: number;
  /** The `msg_id` of the request that caused the message. Null: no request did. */
  readonly parentId: string | null;
}

export type KernelState = 'busy' | 'idle' | 'starting' | 'restarting' | 'dead';

/**
 * A state `restarting` without a parent means that the kernel is being replaced. `reason` says why. Null: not known.
 */
export interface StatusMessage extends MessageBase {
  readonly type: 'status';
  readonly state: KernelState;
  readonly reason: 'timeout' | 'user' | 'died' | 'oom' | null;
  /** The context whose kernel is being replaced. Null: the default context. */
  readonly contextId: string | null;
  /** The number of the cell that begins. Left out if the agent did not say. */
  readonly executionCount?: number;
  /** The process of the command that begins. Left out if the agent did not say. */
  readonly pid?: number;
}

/** A new state of a context other than the default one. */
export interface ContextMessage extends MessageBase {
  readonly type: 'context';
  readonly contextId: string;
  /** `failed`: no kernel could be started. The next request for the context tries again. */
  readonly state: 'ready' | 'ended' | 'failed';
}

/** One output. If its form cannot be kept, it becomes a gap with reason `malformed`; it is never dropped silently. */
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
  /** Null exactly if `status` is `ok`. */
  readonly error: ErrorFacts | null;
  /** Null if it cannot be read. */
  readonly verdict: AgentVerdict | null;
}

export type KernelMessage = StatusMessage | ContextMessage | OutputMessage | ReplyMessage;

/** `metadata.cellhouse` of an execute_reply: the outcome as the agent measured it. */
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
  /** The signal that ended a command. */
  readonly signal: string | null;
  /** Null if the agent did not say. */
  readonly files: ExecutionFiles | null;
}

/** The agent's first message on each connection. */
export interface Hello {
  /** New at each start of the agent. Everything that an earlier boot had is gone. */
  readonly bootId: string;
  /** The oldest message that the agent can still replay. */
  readonly firstSeq: number;
  /** The newest message that the agent has numbered; 0 if none yet. */
  readonly lastSeq: number;
  readonly kernelGeneration: number;
}
