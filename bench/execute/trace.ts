/** What {@link ./traceIo.ts} writes and {@link ./stagesOf.ts} reads. */

/** The setting that tells where the trace is to be written. */
export const TRACE_FILE = 'CELLHOUSE_BENCH_TRACE_FILE';
/** Asks for it to be written. */
export const TRACE_SIGNAL = 'SIGUSR2';

/** Whose the other end of a socket is: a caller, PostgreSQL (as the connection names itself), a worker's agent. */
export type Peer = 'http' | 'commits' | 'reads' | 'agent';

/** Bytes came to the gateway, or were given to the kernel to be sent. */
export interface TraceEvent {
  /** Of the clock that all processes of a machine share ({@link sharedNowMs}). */
  readonly at: number;
  /** Different for each connection. */
  readonly socket: number;
  readonly peer: Peer;
  readonly way: 'read' | 'write';
  /** When the agent had the messages that these bytes are, on the same clock. */
  readonly madeAt: readonly number[];
}

/** A call as its caller saw it, on the same clock. */
export interface TracedCall {
  readonly sentAt: number;
  readonly answeredAt: number;
}

const NS_PER_MS = 1_000_000;

/** CLOCK_MONOTONIC, in milliseconds: no two processes of a machine disagree about it. */
export function sharedNowMs(): number {
  return Number(process.hrtime.bigint()) / NS_PER_MS;
}
