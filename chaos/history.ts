/**
 * What a run leaves behind, and all that the checker sees: what clients were told, what the nemesis did, what the database
 * recorded, what was left at rest. Times are milliseconds since the epoch; all clocks are this machine's.
 */
import type { RecordedEvent } from '../src/domain/events.ts';

export interface History {
  readonly calls: readonly CallRecord[];
  readonly streams: readonly StreamRecord[];
  readonly watches: readonly WatchRecord[];
  readonly faults: readonly FaultRecord[];
  readonly exits: readonly ExitRecord[];
  /** All of the database's, in order of position. */
  readonly events: readonly RecordedEvent[];
  /** All of the database's, by execution and seq. */
  readonly outputs: readonly StoredOutput[];
  readonly rest: RestRecord;
  /** What the nemesis could not do or undo: then the run proves nothing. */
  readonly mishaps: readonly string[];
}

export type Operation = 'execute' | 'submit' | 'interrupt' | 'release' | 'restartKernel';

/** See `clients/cells.ts`. */
export type CellKind =
  | 'counter'
  | 'batch'
  | 'stream'
  | 'loud'
  | 'endless'
  | 'runaway'
  | 'deaf'
  | 'audit'
  | 'fill'
  | 'unfill';

/** One thing a client wanted, however many attempts at however many gateways it took. */
export interface CallRecord {
  readonly user: string;
  readonly operation: Operation;
  /** Of `execute` and `submit`. */
  readonly cell: CellKind | null;
  readonly key: string | null;
  /** What `interrupt` named. */
  readonly executionId: string | null;
  readonly startedAt: number;
  readonly endedAt: number;
  /** Attempts that came to nothing, by what they met: an error's code, or how the connection broke. */
  readonly failures: Readonly<Record<string, number>>;
  /** Null: no gateway has answered within the limit; whether it was done is unknown. */
  readonly answer: CallAnswer | null;
  /** An error that says the call can never succeed, such as NOT_FOUND. */
  readonly refusal: string | null;
}

export interface CallAnswer {
  /** The execution's, or, of `release` and `restartKernel`, the session's. */
  readonly id: string | null;
  readonly status: string | null;
  readonly stateLost: boolean;
  /** As {@link compact} leaves it. */
  readonly stdout: string;
  readonly result: string | null;
}

/** What one subscriber saw of one execution, over as many connections as it took. */
export interface StreamRecord {
  readonly user: string;
  readonly executionId: string;
  readonly items: readonly StreamItem[];
  readonly connections: number;
  /** An ExecutionFinished has come. */
  readonly isEnded: boolean;
  readonly refusal: string | null;
}

export interface StreamItem {
  readonly seq: number;
  /** As the table `output_events` calls it. */
  readonly kind: string;
  /** Of a stream, as {@link compact} leaves it; the reason of a gap. */
  readonly text: string;
  /** Of the whole text. */
  readonly chars: number;
}

/** What a subscriber saw of all of one user's executions. */
export interface WatchRecord {
  readonly user: string;
  readonly items: readonly (StreamItem & { readonly executionId: string })[];
  readonly connections: number;
  readonly refusal: string | null;
  /** The execution whose end was to come last; null if there was none. */
  readonly last: string | null;
}

export interface StoredOutput extends StreamItem {
  readonly executionId: string;
}

export type FaultName =
  | 'gateway: kill -9'
  | 'gateway: SIGTERM'
  | 'gateway: SIGSTOP, SIGCONT'
  | 'container: removed'
  | 'container: killed'
  | 'container: paused'
  | 'kernel: kill -9'
  | 'fork server: kill -9'
  | 'agent: kill -9'
  | 'agent: SIGSTOP, SIGCONT'
  | 'engine: kill -9'
  | 'engine: restarted'
  | 'engine: away for a minute'
  | 'PostgreSQL: kill -9'
  | 'PostgreSQL: restarted'
  | 'PostgreSQL: away for a minute'
  | 'wire: cut'
  | 'wire: refused'
  | 'wire: slow'
  | 'wire: half open'
  | 'disk: full';

export interface FaultRecord {
  readonly name: FaultName;
  readonly startedAt: number;
  /** When the nemesis had undone it: the process started again, the wire open. Equal to `startedAt` where nothing is held. */
  readonly healedAt: number;
  readonly gateway: number | null;
  readonly workerId: string | null;
  readonly user: string | null;
}

/** A gateway that ended though nobody had ended it, after it had been ready. */
export interface ExitRecord {
  readonly gateway: number;
  readonly at: number;
  readonly how: string;
}

export interface RestRecord {
  /** All gateways up, nobody asking anything. */
  readonly serving: RestSnapshot;
  /** After SIGTERM to all gateways. */
  readonly stopped: RestSnapshot;
  /** After `cellhouse down`. */
  readonly down: RestSnapshot;
  /** How the processes ended that were asked to: 0 is right. */
  readonly exitCodes: readonly (number | string)[];
  /** Users whose last call, with all faults healed, nobody answered. */
  readonly unserved: readonly string[];
}

export interface RestSnapshot {
  /** The engine's with a pool's label: the worker that each says it is. */
  readonly containers: readonly string[];
  /** Not yet REMOVED. */
  readonly workers: readonly string[];
  readonly unfinished: readonly string[];
  /** Leases in force, by name. */
  readonly leases: readonly string[];
  /** Of gateways to the database, by name. */
  readonly connections: readonly string[];
  /** Calls that wait for a worker, over all gateways. */
  readonly waiting: number;
  /** The folders of workers' sockets. */
  readonly socketFolders: readonly string[];
}

/** Cells fill lines with this and use it for nothing else. */
export const FILLER = '.';

/** Text without its filler: a loud stream's log must stay small, and its length is kept beside it. */
export function compact(text: string): string {
  return text.replaceAll(FILLER, '');
}
