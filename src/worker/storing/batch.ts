/**
 * Gathers what has been received from a worker and is not stored yet: the content of the next commit. Adjacent pieces
 * of the same stream are joined, because rows cost more than bytes. Pieces with a piece of the other stream between
 * them are not joined, so the order is kept.
 */

import type { ContextCommand } from '../../domain/context.ts';
import type { Ending, Execution } from '../../domain/execution.ts';
import type { ContextId, ExecutionId } from '../../domain/ids.ts';
import type { Output, StreamOutput } from '../../domain/output.ts';
import { outputSize } from '../../domain/outputSize.ts';
import type { KernelRestartReason } from '../../domain/session.ts';
import type { UserExpression } from '../../domain/userExpressions.ts';

/** A stored stream piece does not grow beyond this many characters by joining. */
const MAX_JOINED_CHARS = 64 * 1024;

/** One execution that a worker has accepted and that has not ended. */
export interface Job {
  /** As last stored. */
  execution: Execution;
  readonly code: string;
  /** The expressions that are evaluated after the code. Absent: there are none. */
  readonly userExpressions?: readonly UserExpression[];
  /** It was recorded before this gateway took over the worker, so the former holder may have sent it to the agent. */
  readonly isTakenOver: boolean;
  /** Seq of the next output event. */
  nextSeq: number;
  /** Whether the kernel was replaced after this execution was accepted, or since the previous execution ended. */
  stateLost: boolean;
}

/** What one execution adds to the next commit. */
export interface Segment {
  readonly job: Job;
  readonly outputs: { output: Output; readonly at: Date }[];
  /** When it began, with the cell's number or the command's process id if the agent has reported it. */
  start: { readonly at: Date; readonly executionCount?: number; readonly pid?: number } | null;
  end: { readonly at: Date; readonly ending: Ending } | null;
  /** When an interrupt was requested. Absent: none was. */
  interruptedAt?: Date;
}

export interface Batch {
  readonly segments: Segment[];
  readonly kernelRestarts: {
    readonly at: Date;
    readonly reason: KernelRestartReason;
    readonly executionId: ExecutionId | null;
  }[];
  /** The changes of contexts other than the default one, in order. */
  readonly contextFacts: { readonly contextId: ContextId; readonly command: ContextCommand }[];
  /** The jobs in this batch whose end also ends the executions that are queued behind them. */
  readonly stops: Job[];
  /** Roughly the number of bytes to store. The limits for flushing early and for pausing the channel refer to it. */
  size: number;
  /** The highest seq of the agent in this batch. Null: no message had a seq. */
  seq: number | null;
}

export function emptyBatch(): Batch {
  return { segments: [], kernelRestarts: [], contextFacts: [], stops: [], size: 0, seq: null };
}

/** The batch's segment for `job`. It is created if there is none. */
export function segmentOf(batch: Batch, job: Job): Segment {
  const found = batch.segments.find((each) => each.job === job);
  if (found) return found;
  const segment: Segment = { job, outputs: [], start: null, end: null };
  batch.segments.push(segment);
  return segment;
}

export function addOutput(batch: Batch, job: Job, output: Output, at: Date): void {
  const { outputs } = segmentOf(batch, job);
  const last = outputs.at(-1);
  if (
    last &&
    output.kind === 'stream' &&
    last.output.kind === 'stream' &&
    canJoin(last.output, output)
  ) {
    last.output = { ...output, text: last.output.text + output.text };
    batch.size += output.text.length;
  } else {
    outputs.push({ output, at });
    batch.size += outputSize(output);
  }
}

/** Bytes that are not UTF-8 stay pieces of their own. */
function canJoin(first: StreamOutput, second: StreamOutput): boolean {
  if (first.base64 !== undefined || second.base64 !== undefined) return false;
  return first.name === second.name && first.text.length + second.text.length <= MAX_JOINED_CHARS;
}
