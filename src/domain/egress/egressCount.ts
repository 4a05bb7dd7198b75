import type { SessionId } from '../ids.ts';

/**
 * What became of a connection that user code asked for. `allowed`: the host is listed, so it was resolved and dialled.
 * If that failed, the connection is counted again, under one of the last four outcomes.
 */
export type EgressOutcome =
  | 'allowed'
  | 'not-listed'
  | 'malformed'
  | 'too-many'
  | 'private-address'
  | 'unresolved'
  | 'unreachable'
  | 'timed-out';

/** What one gateway has counted since its start. */
export interface EgressTotals {
  readonly outcomes: ReadonlyMap<EgressOutcome, number>;
  readonly sentBytes: number;
  readonly receivedBytes: number;
  /** The connections that are open now. */
  readonly open: number;
}

/** The key of a count. Connections with the same key are counted together. */
export interface EgressKey {
  readonly sessionId: SessionId;
  /** The host as code asked for it, in its usual form. Empty if the request names no host. */
  readonly host: string;
  /** 0 if there is no host. */
  readonly port: number;
  readonly outcome: EgressOutcome;
}

/** How many connections of one minute had the same key. */
export interface EgressCount extends EgressKey {
  readonly minute: Date;
  connections: number;
  /** Bytes from the worker to the host. */
  sentBytes: number;
  receivedBytes: number;
}
