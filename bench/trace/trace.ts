/** The trace format, which {@link ./traceIo.ts} writes and {@link ./traceStages.ts} reads. */
/** The environment variable with the path of the trace file. */
export const TRACE_FILE = 'CELLHOUSE_BENCH_TRACE_FILE';
/** The signal at which the trace is written. */
export const TRACE_SIGNAL = 'SIGUSR2';

/** The other end of a socket: a caller, PostgreSQL (by the connection's name), or a worker's agent. */
export type Peer = 'http' | 'commits' | 'reads' | 'agent';

/** The gateway read bytes from a socket, or wrote bytes to it. */
export interface TraceEvent {
  /** Time of the clock that all processes of the machine share ({@link sharedNowMs}). */
  readonly at: number;
  /** The number of the connection. */
  readonly socket: number;
  readonly peer: Peer;
  readonly way: 'read' | 'write';
  /** When the agent had received the messages in these bytes, by the same clock. */
  readonly madeAt: readonly number[];
}

/** The times of a call at its caller, by the same clock. */
export interface TracedCall {
  readonly sentAt: number;
  readonly answeredAt: number;
}

const NS_PER_MS = 1_000_000;

/** CLOCK_MONOTONIC in milliseconds. All processes of a machine share it. */
export function sharedNowMs(): number {
  return Number(process.hrtime.bigint()) / NS_PER_MS;
}
