import type { SessionId } from '../ids.ts';

/**
 * What became of a connection that code asked for. Of an `allowed` one, the host is listed, so it was resolved and dialled;
 * if that fails, it has one of the last four outcomes, too.
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

/** What is counted together. */
export interface EgressKey {
  readonly sessionId: SessionId;
  /** As it was asked for, in its usual form. Empty: what was asked for names none. */
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
