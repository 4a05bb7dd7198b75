import net from 'node:net';
import postgres from 'postgres';
import { jsonText, parseExactly } from '../../domain/exactJson.ts';
import { arrayTypes } from './arrayTypes.ts';
import type { DatabaseAddress } from './databaseAddress.ts';

/** Longest wait for a row lock; longer than any commit takes, and short enough that nobody waits on a stuck one. */
const LOCK_TIMEOUT_MS = 5_000;
/** Longest a statement may run on the server. */
const STATEMENT_TIMEOUT_MS = 15_000;
/** A transaction left open by a paused process stops every other writer; none of ours is idle on purpose. */
const IDLE_IN_TRANSACTION_TIMEOUT_MS = 5_000;
/** The server should have answered or given up by then (STATEMENT_TIMEOUT_MS): the path to it is dead. */
const ANSWER_TIMEOUT_MS = 20_000;
/** A process that was paused reads what has come meanwhile before it holds the server to be late. */
const WAKING_ALLOWANCE_MS = 100;
/** A destroyed socket is closed in no time. */
const CLOSING_TIMEOUT_MS = 1_000;
/** `code` of the error when there was no answer. */
export const NO_ANSWER = 'NO_ANSWER';
const CONNECT_TIMEOUT_S = 5;
/** Node probes each second after that, ten times: a half-open connection is found in about 15 s. */
const KEEP_ALIVE_S = 5;
/** postgres.js waits up to 20 s between attempts by itself; a database that is back should be found at once. */
const MAX_RECONNECT_DELAY_S = 0.5;

const bigint = {
  to: 20,
  from: [20],
  // Positions, bytes and sequence numbers, all far below 2^53.
  parse: (text: string) => Number(text),
  serialize: (value: number) => String(value),
};

/** What code has put out, and the progress of a worker. */
const json = {
  to: 114,
  from: [114],
  parse: parseExactly,
  serialize: jsonText,
};

export type Sql = postgres.Sql<{ bigint: number }>;

export interface ClientOptions {
  /** Shown in `pg_stat_activity`. */
  readonly name: string;
  readonly maxConnections: number;
  /** 0: unlimited, for statements that fold or copy everything. */
  readonly statementTimeoutMs?: number;
  /** 0: unlimited, for a wait that is meant. */
  readonly lockTimeoutMs?: number;
  /** Rows with the columns' own names, instead of camelCase: Drizzle looks for those. @default false */
  readonly keepsColumnNames?: boolean;
  /** Longer than the statement may take. @default 20,000 */
  readonly answerTimeoutMs?: number;
}

export interface Client {
  readonly sql: Sql;
  /**
   * The answer to `query`, or an error once the server has not answered within a named limit: then every connection of
   * this client is destroyed, for one that is half open never says so.
   */
  answered<T>(query: PromiseLike<T>): Promise<T>;
  /** Destroys all connections, as if they had been lost: whatever waits on them fails, and new ones are made. */
  reset(): void;
  /** Ends all connections, at the latest after `timeoutMs`. Idempotent. */
  close(timeoutMs: number): Promise<void>;
}

/** A pool of connections for raw SQL. Connects when it is first used, and again whenever a connection was lost. */
export function createClient(address: DatabaseAddress, options: ClientOptions): Client {
  const sockets = new Set<net.Socket>();
  let isClosed = false;
  const { answerTimeoutMs = ANSWER_TIMEOUT_MS } = options;
  const settings = {
    max: options.maxConnections,
    types: { bigint, json, ...arrayTypes },
    fetch_types: false,
    transform: options.keepsColumnNames ? {} : { column: { from: postgres.toCamel } },
    connect_timeout: CONNECT_TIMEOUT_S,
    keep_alive: KEEP_ALIVE_S,
    max_lifetime: null,
    backoff: (attempt: number) => Math.min(0.05 * 2 ** attempt, MAX_RECONNECT_DELAY_S),
    onnotice: () => undefined,
    connection: {
      application_name: `cellhouse ${options.name}`,
      lock_timeout: options.lockTimeoutMs ?? LOCK_TIMEOUT_MS,
      statement_timeout: options.statementTimeoutMs ?? STATEMENT_TIMEOUT_MS,
      idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_TIMEOUT_MS,
    },
    // An option that its types leave out: our own sockets, so that dead ones can be destroyed.
    socket: (target: SocketTarget) => {
      if (isClosed) throw new Error('This client is closed.');
      return openSocket(target, sockets);
    },
  };
  const sql: Sql =
    'url' in address ? postgres(address.url, settings) : postgres({ ...settings, ...address });
  const reset = () => {
    for (const socket of sockets) socket.destroy(noAnswer('No answer in time.'));
  };
  return {
    sql,
    answered: (query) => withDeadline(query, answerTimeoutMs, reset),
    reset,
    close: async (timeoutMs) => {
      await sql.end({ timeout: timeoutMs / 1_000 });
      // What postgres.js was about to make, or had not made whole, it makes all the same, and keeps: it would keep this process.
      isClosed = true;
      for (const socket of sockets) socket.destroy();
    },
  };
}

interface SocketTarget {
  readonly path: string | false | undefined;
  readonly host: readonly string[];
  readonly port: readonly number[];
}

function openSocket({ path, host, port }: SocketTarget, sockets: Set<net.Socket>): net.Socket {
  // TLS takes all listeners off the socket it wraps, so they cannot be relied on to forget it.
  for (const old of sockets) if (old.destroyed) sockets.delete(old);
  // postgres.js writes at once; Node keeps that until the socket is connected.
  const socket = path
    ? net.connect(path)
    : net.connect({ host: host[0] ?? 'localhost', port: port[0] ?? 5432, noDelay: true });
  sockets.add(socket);
  return Object.assign(tellErrorWithClose(socket), { host: host[0] });
}

/**
 * postgres.js loses a query that it sends on a socket between its 'error' and its 'close' (they are a turn of the event loop
 * apart): nobody ever answers it. So what it registers for 'error' is called right before what it registers for 'close'.
 */
function tellErrorWithClose(socket: net.Socket): net.Socket {
  let failure: Error | null = null;
  socket.on('error', (error) => {
    failure = error;
  });
  const on = socket.on.bind(socket) as (event: string, listener: Listener) => net.Socket;
  const onButError = (event: string, listener: Listener): net.Socket =>
    event === 'error'
      ? on('close', () => failure !== null && listener(failure))
      : on(event, listener);
  return Object.assign(socket, { on: onButError });
}

type Listener = (...args: unknown[]) => unknown;

/** The query fails by itself when its connection is destroyed; one that was lost on it (TLS) is given up after all. */
async function withDeadline<T>(
  query: PromiseLike<T>,
  timeoutMs: number,
  onDeadline: () => void,
): Promise<T> {
  let isLate = false;
  const timers: NodeJS.Timeout[] = [];
  const givenUp = new Promise<never>((_, reject) => {
    const onLate = (): void => {
      isLate = true;
      onDeadline();
      timers.push(setTimeout(() => reject(new Error('The query was lost.')), CLOSING_TIMEOUT_MS));
    };
    // If it was this process that slept, the answer lies in the socket, which is read only after the timers that are due.
    const onTime = () => timers.push(setTimeout(onLate, WAKING_ALLOWANCE_MS));
    timers.push(setTimeout(onTime, timeoutMs));
  });
  try {
    return await Promise.race([query, givenUp]);
  } catch (cause: unknown) {
    if (!isLate) throw cause;
    throw noAnswer(`The database has not answered for ${timeoutMs} ms.`, { cause });
  } finally {
    for (const timer of timers) clearTimeout(timer);
  }
}

/** Whoever shared the connection is told with this code, too, and may ask again. */
function noAnswer(message: string, options?: ErrorOptions): Error {
  return Object.assign(new Error(message, options), { code: NO_ANSWER });
}
