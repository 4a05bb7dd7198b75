/**
 * The record of a run, and the only input of the checker: the answers that clients got, the faults, the events and
 * outputs in the database, and what was left at rest. Times are milliseconds since the epoch, all by this machine's
 * clock.
 */
import type { RecordedEvent } from '../src/domain/events.ts';
import type { Verified } from '../src/events/chain/verifyChain.ts';

/** How all attempts at one thing ended. */
export interface Answered<Answer> {
  readonly startedAt: number;
  readonly endedAt: number;
  /** The number of failed attempts by cause: an error's code, or how the connection broke. */
  readonly failures: Readonly<Record<string, number>>;
  /**
   * Null: there is a `refusal`, or else no gateway answered within the limit or before the client gave up, so nobody
   * knows whether it was done.
   */
  readonly answer: Answer | null;
  /** The code of an error after which the call can never succeed, such as NOT_FOUND. */
  readonly refusal: string | null;
}

/** One call with input for an execution, including all its attempts at any gateways. */
export interface InputRecord extends Answered<InputAnswer> {
  readonly user: string;
  readonly executionId: string;
  readonly offset: number;
  /** The bytes. Null: none. */
  readonly base64: string | null;
  /** Whether the input ends with these bytes. */
  readonly close: boolean;
}

interface InputAnswer {
  readonly offset: number;
  readonly nextOffset: number;
}

// What is left at the end of a run, when all faults are healed.

export interface RestRecord {
  /** While all gateways run and no client sends requests. */
  readonly serving: RestSnapshot;
  /** After SIGTERM to all gateways. */
  readonly stopped: RestSnapshot;
  /** After `cellhouse down`. */
  readonly down: RestSnapshot;
  /** What `cellhouse audit verify` finds while all gateways run, and at the end of everything. */
  readonly audit: { readonly serving: Verified; readonly down: Verified };
  /** The exit codes or signals of the gateways and of `cellhouse down`. All must be 0. */
  readonly exitCodes: readonly (number | string)[];
  /** Users whose last call got no answer, although all faults were healed. */
  readonly unserved: readonly string[];
}

export interface RestSnapshot {
  /** Worker ids in the labels of the engine's containers that have a pool's label. */
  readonly containers: readonly string[];
  /** Ids of workers that are not yet REMOVED. */
  readonly workers: readonly string[];
  /** Ids of executions that have not finished. */
  readonly unfinished: readonly string[];
  /** Names of the leases in force. */
  readonly leases: readonly string[];
  /** Names of the gateways' connections to the database. */
  readonly connections: readonly string[];
  /** The number of calls that wait for a worker, over all gateways. */
  readonly waiting: number;
  /** Worker ids that have a folder for a socket. */
  readonly socketFolders: readonly string[];
  /** The ids of images that were built for environments, and that belong to no version. */
  readonly images: readonly string[];
  /** What runs in each running container. */
  readonly processes: readonly WorkerProcesses[];
}

/** The processes in one worker while no code runs in it. */
export interface WorkerProcesses {
  readonly workerId: string;
  /** Its default context and the open contexts. Each has one kernel below one reaper, and nothing else is left. */
  readonly contexts: number;
  /** Processes of the user of kernels and commands. */
  readonly ofUser: number;
  /** Reapers of kernels. */
  readonly reapers: number;
  /** Processes of the agent's user that no worker at rest needs. It needs the one that waits for the next command. */
  readonly strangers: number;
}

/** Whether there is one kernel below one reaper for each context, and nothing else. */
export function isAsItShould({ contexts, ofUser, reapers, strangers }: WorkerProcesses): boolean {
  return ofUser === contexts && reapers === contexts && strangers === 0;
}

/** The quotas in the gateways' settings. During the run, some quotas are changed for a while. */
export interface Quotas {
  /** The number of users of the largest tenant: each needs one session. */
  readonly openSessionsOfTenant: number;
  /** About as many as a user runs in an average minute, so that a busy minute exceeds it. */
  readonly executionsPerMinuteOfUser: number;
}

export interface History {
  readonly calls: readonly CallRecord[];
  readonly files: readonly FileRecord[];
  readonly inputs: readonly InputRecord[];
  readonly streams: readonly StreamRecord[];
  readonly watches: readonly WatchRecord[];
  readonly faults: readonly FaultRecord[];
  readonly tokenTries: readonly TokenTry[];
  readonly quotas: Quotas;
  /** The id of each gateway, which stays the same when it is started again. */
  readonly gatewayIds: readonly string[];
  readonly exits: readonly ExitRecord[];
  /** All events in the database, in order of position. */
  readonly events: readonly RecordedEvent[];
  /** The transaction that inserted each event, by the event's position. */
  readonly transactions: Readonly<Record<number, string>>;
  /** All outputs in the database, by execution and seq. */
  readonly outputs: readonly StoredOutput[];
  /** The executions that have secret input in the database at rest. */
  readonly keptInputs: readonly string[];
  readonly rest: RestRecord;
  /** Faults and changes of quotas that could not be made or undone. If there are any, the run proves nothing. */
  readonly mishaps: readonly string[];
}

type Operation =
  | 'execute'
  | 'submit'
  | 'interrupt'
  | 'interruptKernel'
  | 'release'
  | 'restartKernel'
  | 'createContext'
  | 'deleteContext';

/** Commands: see `clients/shellCells.ts`. */
export type CommandKind =
  | 'shell'
  | 'shell-stream'
  | 'shell-endless'
  | 'shell-input'
  | 'server'
  | 'ledger';

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
  | 'unfill'
  | 'fetch'
  | 'input'
  | CommandKind;

export interface Cell {
  readonly kind: CellKind;
  readonly key: string;
  readonly code: string;
  readonly timeoutMs: number;
  readonly language: 'PYTHON' | 'BASH';
  readonly allowInput: boolean;
}

/** The wire by which a client calls. */
export type Wire = 'graphql' | 'mcp' | 'jupyter';

/** One operation of a client, including all its attempts at any gateways. */
export interface CallRecord extends Answered<CallAnswer> {
  readonly user: string;
  readonly wire: Wire;
  readonly operation: Operation;
  /** Set for `execute` and `submit`. */
  readonly cell: CellKind | null;
  readonly key: string | null;
  /** The argument of `interrupt`. */
  readonly executionId: string | null;
  /** The context that the call names. Null: none, which is the default one. */
  readonly contextId: string | null;
}

export interface CallAnswer {
  /** The id of the execution or context, or for `release` and `restartKernel` that of the session. */
  readonly id: string | null;
  readonly status: string | null;
  readonly stateLost: boolean;
  /** The exit code of a command. Null for everything else. */
  readonly exitCode: number | null;
  /** Shortened by {@link compact}. */
  readonly stdout: string;
  readonly result: string | null;
}

/** One operation on a file of a user, including all its attempts at any gateways. A user does one after the other. */
export interface FileRecord extends Answered<FileAnswer> {
  readonly user: string;
  readonly operation: 'upload' | 'download' | 'delete' | 'list';
  /** The file's name in the home. Null for `list`, which lists the home. */
  readonly name: string | null;
  /** The hash of the content that an upload sent. Each upload sends different content. */
  readonly sha256: string | null;
}

export interface FileAnswer {
  /** The hash of the content that a download got. Null: there was no such file. */
  readonly sha256: string | null;
  /** What `list` found. */
  readonly names: readonly string[];
}

/** What one subscriber received of one execution, over all its connections. */
export interface StreamRecord {
  readonly user: string;
  readonly executionId: string;
  readonly items: readonly StreamItem[];
  readonly connections: number;
  /** Whether an ExecutionFinished has arrived. */
  readonly isEnded: boolean;
  readonly refusal: string | null;
}

export interface StreamItem {
  readonly seq: number;
  /** The kind as named in the table `output_events`. */
  readonly kind: string;
  /** The text of a stream, shortened by {@link compact}, or the reason of a gap. */
  readonly text: string;
  /** The length of the whole text. */
  readonly chars: number;
}

/** What a subscriber received of all executions of one user. */
export interface WatchRecord {
  readonly user: string;
  readonly items: readonly (StreamItem & { readonly executionId: string })[];
  readonly connections: number;
  readonly refusal: string | null;
  /** The execution whose end had to arrive last. Null if there was none. */
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
  | 'reaper: kill -9'
  | 'helper: kill -9'
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
  | 'disk: full'
  | 'token: revoked';

export interface FaultRecord {
  readonly name: FaultName;
  readonly startedAt: number;
  /** When the nemesis had undone it, e.g. restarted the process. For a momentary fault, when it had been caused. */
  readonly healedAt: number;
  readonly gateway: number | null;
  readonly workerId: string | null;
  readonly user: string | null;
}

/** A try of a revoked token at one gateway, a second after it was revoked. */
export interface TokenTry {
  readonly user: string;
  readonly gateway: number;
  /** When a gateway had answered that the token is revoked. */
  readonly revokedAt: number;
  readonly triedAt: number;
  /** `no answer`: the gateway or its database was away. */
  readonly outcome: 'refused' | 'let in' | 'no answer';
}

/** A gateway that had been ready and then ended by itself. */
export interface ExitRecord {
  readonly gateway: number;
  readonly at: number;
  readonly how: string;
}

/** Cells fill lines with this character, and use it for nothing else. */
export const FILLER = '.';

/** Removes the filler from a text, so that histories of loud streams stay small. The length is recorded separately. */
export function compact(text: string): string {
  return text.replaceAll(FILLER, '');
}

/** Says how long something took, for a person: `const took = stopwatch()`, later `took()`, e.g. `12.3 s`. */
export function stopwatch(): () => string {
  const startedAt = performance.now();
  return () => `${((performance.now() - startedAt) / 1_000).toFixed(1)} s`;
}
