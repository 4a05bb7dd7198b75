/**
 * What has been received from a worker and not yet stored: the next commit in the making. Adjacent pieces of one stream are
 * joined (never across stdout and stderr, so their order stays), because rows cost more than bytes.
 */

import type { Ending, Execution } from '../domain/execution.ts';
import type { ExecutionId } from '../domain/ids.ts';
import type { Output } from '../domain/output.ts';
import { outputSize } from '../domain/outputSize.ts';
import type { KernelRestartReason } from '../domain/session.ts';

/** A stored stream piece does not grow beyond this many characters by joining. */
const MAX_JOINED_CHARS = 64 * 1024;

/** One execution that a worker has accepted and that has not ended. */
export interface Job {
  /** As last stored. */
  execution: Execution;
  readonly code: string;
  /** It was there when this gateway took the worker over: the one before may have sent it. */
  readonly isTakenOver: boolean;
  /** Seq of the next output event. */
  nextSeq: number;
  /** The kernel was replaced since it was accepted, or since the execution before it ended. */
  stateLost: boolean;
}

/** What one execution adds to the next commit. */
export interface Segment {
  readonly job: Job;
  readonly outputs: { output: Output; readonly at: Date }[];
  startedAt: Date | null;
  end: { readonly at: Date; readonly ending: Ending } | null;
}

export interface Batch {
  readonly segments: Segment[];
  readonly kernelRestarts: {
    readonly at: Date;
    readonly reason: KernelRestartReason;
    readonly executionId: ExecutionId | null;
  }[];
  /** Roughly the bytes it will store; what is flushed early and what holds the channel back go by it. */
  size: number;
  /** The agent's seq it reaches; null: nothing with a seq came. */
  seq: number | null;
}

export function emptyBatch(): Batch {
  return { segments: [], kernelRestarts: [], size: 0, seq: null };
}

/** The batch's segment of `job`, made if there is none. */
export function segmentOf(batch: Batch, job: Job): Segment {
  const found = batch.segments.find((each) => each.job === job);
  if (found) return found;
  const segment: Segment = { job, outputs: [], startedAt: null, end: null };
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

type Stream = Extract<Output, { kind: 'stream' }>;

function canJoin(first: Stream, second: Stream): boolean {
  return first.name === second.name && first.text.length + second.text.length <= MAX_JOINED_CHARS;
}
