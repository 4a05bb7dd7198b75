/** The connections to PostgreSQL: their settings, their limits, and what happens when one is lost. */
import net from 'node:net';
import postgres from 'postgres';
import { backOffMs } from '../../async/backOffMs.ts';
import { pause } from '../../async/pause.ts';
import { within } from '../../async/within.ts';
import { jsonText, parseExactly } from '../../domain/exactJson.ts';

/** A connection URL, or its parts (`host` may be the folder of a Unix socket). */
export type DatabaseAddress =
  | { readonly url: string }
  | {
      readonly host: string;
      readonly port: number;
      readonly database: string;
      readonly username: string;
      readonly password?: string;
    };

// The one-dimensional array types that this project's parameters and rows use. By default, postgres.js fetches array
// types from the server on each new connection. If the connection is lost during that query, the rejection is unhandled
// and ends the whole process (`fetchArrayTypes` in its connection.js is not awaited). So the types are given here, and
// fetching is off (`fetch_types: false`).

type Item = string | number | null;

/** Object ids of PostgreSQL's catalogue, which never change. */
const STRINGS = { texts: 1009, uuids: 2951, times: 1185 } as const;
const NUMBERS = { integers: 1007, bigints: 1016 } as const;

const arrayTypes = {
  ...typesOf(STRINGS, (text) => text),
  // Positions, bytes and sequence numbers, all far below 2^53.
  ...typesOf(NUMBERS, Number),
};

function typesOf<Name extends string>(
  oids: Readonly<Record<Name, number>>,
  itemOf: (text: string) => Item,
): Record<Name, postgres.PostgresType<Item[]>> {
  const parse = (literal: string) => parseArray(literal, itemOf);
  const types = Object.entries<number>(oids).map(([name, oid]) => [
    name,
    { to: oid, from: [oid], serialize: serializeArray, parse },
  ]);
  return Object.fromEntries(types);
}

/** The items as an array literal of PostgreSQL. */
function serializeArray(items: readonly Item[]): string {
  const quoted = items.map((item) =>
    item === null ? 'NULL' : `"${String(item).replace(/["\\]/g, '\\$&')}"`,
  );
  return `{${quoted.join(',')}}`;
}

function parseArray(literal: string, itemOf: (text: string) => Item): Item[] {
  const items = literal.slice(1, -1).matchAll(/"((?:[^"\\]|\\.)*)"|([^,]+)/gs);
  return [...items].map(([, quoted, bare]) => {
    if (quoted !== undefined) return itemOf(quoted.replace(/\\(.)/gs, '$1'));
    return bare === 'NULL' || bare === undefined ? null : itemOf(bare);
  });
}

/** A database that is back should be found immediately. */
const BACK_OFF = { firstMs: 20, maxMs: 1_000 };

/**
 * The pause between two attempts. It ends early if `closing` is aborted during it. If `closing` was aborted before, the
 * pause has its full length, so that retries are not a tight loop.
 */
export async function pauseBetween(attempt: number, closing: AbortSignal): Promise<void> {
  await pause(backOffMs(BACK_OFF, attempt), closing.aborted ? undefined : closing);
}

/**
 * Longest wait for a lock. Longer than any commit takes, and short enough not to wait for a commit that is stuck.
 */
const LOCK_TIMEOUT_MS = 5_000;
/** Longest a statement may run on the server. */
const STATEMENT_TIMEOUT_MS = 15_000;
/** A transaction that a paused process leaves open blocks every other writer. No transaction here waits on purpose. */
const IDLE_IN_TRANSACTION_TIMEOUT_MS = 5_000;
/** By this time the server has answered or given up (STATEMENT_TIMEOUT_MS). If nothing came, the connection is dead. */
const ANSWER_TIMEOUT_MS = 20_000;
/** After a pause of this process, its sockets may have unread answers. A late query waits this long for them. */
const WAKING_ALLOWANCE_MS = 100;
/** How long a query may take to fail after its socket was destroyed. It normally fails immediately. */
const CLOSING_TIMEOUT_MS = 1_000;
/** `code` of the error for a query without an answer. */
export const NO_ANSWER = 'NO_ANSWER';
const MS_PER_S = 1_000;
const CONNECT_TIMEOUT_S = 5;
/** After this time Node sends ten probes, one each second. So a half-open connection is found in about 15 s. */
const KEEP_ALIVE_S = 5;
/** By default postgres.js waits up to 20 s between attempts. A database that is back should be found immediately. */
const RECONNECT = { firstMs: 50, maxMs: 500 };

const bigint = {
  to: 20,
  from: [20],
  // Positions, bytes and sequence numbers, all far below 2^53.
  parse: (text: string) => Number(text),
  serialize: (value: number) => String(value),
};

/** `json` columns hold the outputs of code and the progress of workers. */
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
  /** 0: unlimited, for statements that process the whole history. @default 15,000 */
  readonly statementTimeoutMs?: number;
  /** 0: unlimited, for a wait that is intended. @default 5,000 */
  readonly lockTimeoutMs?: number;
  /**
   * Must be longer than `statementTimeoutMs`. 0: unlimited, so only TCP's keep-alive probes find out that the server is
   * gone. @default 20,000, or 0 if `statementTimeoutMs` is 0
   */
  readonly answerTimeoutMs?: number;
  /** Whether a lost connection is replaced. If not, there is one attempt to connect, ever. @default true */
  readonly reconnects?: boolean;
}

export interface Client {
  readonly sql: Sql;
  /**
   * Resolves with the answer to `query`. If the server does not answer within `answerTimeoutMs`, it rejects and
   * destroys every connection of this client: a half-open connection gives no other sign.
   */
  answered<T>(query: PromiseLike<T>): Promise<T>;
  /**
   * The connection that the next query goes to, if `maxConnections` is 1. Null: the next query opens a new one, which may
   * lead to another server.
   */
  connection(): object | null;
  /** Destroys all connections, as if they had been lost: their pending queries fail, and new connections are made. */
  reset(): void;
  /** Ends all connections, at the latest after `timeoutMs`. Idempotent. */
  close(timeoutMs: number): Promise<void>;
}

/** A pool of connections for raw SQL. It connects at its first use, and again whenever a connection was lost. */
export function createClient(address: DatabaseAddress, options: ClientOptions): Client {
  const sockets = new Set<net.Socket>();
  let isClosed = false;
  const { answerTimeoutMs = options.statementTimeoutMs === 0 ? 0 : ANSWER_TIMEOUT_MS } = options;
  const settings = {
    max: options.maxConnections,
    types: { bigint, json, ...arrayTypes },
    fetch_types: false,
    transform: { column: { from: postgres.toCamel } },
    connect_timeout: CONNECT_TIMEOUT_S,
    keep_alive: KEEP_ALIVE_S,
    max_lifetime: null,
    backoff: (attempt: number) => backOffMs(RECONNECT, attempt) / MS_PER_S,
    onnotice: () => undefined,
    connection: {
      application_name: `cellhouse ${options.name}`,
      lock_timeout: options.lockTimeoutMs ?? LOCK_TIMEOUT_MS,
      statement_timeout: options.statementTimeoutMs ?? STATEMENT_TIMEOUT_MS,
      idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_TIMEOUT_MS,
    },
    // This option is missing in the types of postgres.js. With it, this client makes the sockets itself, so that it can
    // destroy dead ones.
    socket: (target: SocketTarget) => {
      if (isClosed) throw new Error('This client is closed.');
      const isGone = options.reconnects === false && sockets.size > 0;
      return isGone ? deadSocket() : openSocket(target, sockets);
    },
  };
  const sql: Sql =
    'url' in address ? postgres(address.url, settings) : postgres({ ...settings, ...address });
  const reset = () => {
    for (const socket of sockets) socket.destroy(noAnswer('No answer in time.'));
  };
  return {
    sql,
    answered: async (query) =>
      await (answerTimeoutMs === 0 ? query : withDeadline(query, answerTimeoutMs, reset)),
    connection: () => [...sockets].find(({ destroyed }) => !destroyed) ?? null,
    reset,
    close: async (timeoutMs) => {
      await sql.end({ timeout: timeoutMs / MS_PER_S });
      // postgres.js still completes connections that it was opening, and keeps them, so this process could not exit.
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
  // A 'close' listener cannot do this: TLS removes all listeners from the socket that it wraps.
  for (const old of sockets) if (old.destroyed) sockets.delete(old);
  // postgres.js writes immediately, and Node buffers the data until the socket is connected.
  const socket = path
    ? net.connect(path)
    : net.connect({ host: host[0] ?? 'localhost', port: port[0] ?? 5432, noDelay: true });
  sockets.add(socket);
  return Object.assign(tellErrorWithClose(socket), { host: host[0] });
}

/**
 * A socket that fails immediately. If postgres.js got no socket at all, it would reject the query for which it needs
 * one, but would never settle any later query.
 */
function deadSocket(): net.Socket {
  const socket = tellErrorWithClose(new net.Socket());
  // Before the callback runs, postgres.js adds its listeners.
  setImmediate(() => socket.destroy(new Error('The connection was lost.')));
  return socket;
}

/**
 * A socket's 'error' and 'close' are one turn of the event loop apart. postgres.js loses a query that it sends in
 * between: the query never settles. So its listeners for 'error' are called right before those for 'close'.
 *
 * For TLS, postgres.js removes all listeners, and the TLS socket adds its own. It ends at 'close'. An error that it is
 * told then has no listener any more, and ends this process. So does an 'error' of this socket that nobody listens to.
 */
function tellErrorWithClose(socket: net.Socket): net.Socket {
  const on = socket.on.bind(socket) as (event: string, listener: Listener) => net.Socket;
  const removeAll = socket.removeAllListeners.bind(socket);
  let failure: unknown = null;
  let isForTls = false;
  const noteError = (error: unknown) => {
    failure = error;
  };
  on('error', noteError);
  return Object.assign(socket, {
    on: (event: string, listener: Listener): net.Socket => {
      if (event !== 'error') return on(event, listener);
      return isForTls ? socket : on('close', () => failure !== null && listener(failure));
    },
    removeAllListeners: (): net.Socket => {
      isForTls = true;
      removeAll();
      return on('error', noteError);
    },
  });
}

type Listener = (...args: unknown[]) => unknown;

/**
 * At the deadline `onDeadline` destroys the connections, which makes the query fail. With TLS the query may not settle
 * even then, so it is given up a little later.
 */
async function withDeadline<T>(
  query: PromiseLike<T>,
  timeoutMs: number,
  onDeadline: () => void,
): Promise<T> {
  let isLate = false;
  const onLost = () => {
    throw new Error('The query was lost.');
  };
  const onLate = () => {
    isLate = true;
    onDeadline();
    return within(CLOSING_TIMEOUT_MS, query, onLost);
  };
  // If this process itself was paused, the answer may be in the socket, which Node reads only after all due timers.
  const onTime = () => within(WAKING_ALLOWANCE_MS, query, onLate);
  try {
    return await within(timeoutMs, query, onTime);
  } catch (cause: unknown) {
    if (!isLate) throw cause;
    throw noAnswer(`The database has not answered for ${timeoutMs} ms.`, { cause });
  }
}

/**
 * The error for a query without an answer. When the connections are destroyed, all other queries on them fail with the
 * same code, or with CONNECTION_CLOSED if they use TLS. They may be repeated.
 */
function noAnswer(message: string, options?: ErrorOptions): Error {
  return Object.assign(new Error(message, options), { code: NO_ANSWER });
}

const CLOSE_TIMEOUT_MS = 2_000;

/** A client with a single connection. Once the connection is lost, every query fails. */
export interface OneConnection extends Client {
  /**
   * Runs `work` in a transaction. If `work` fails, all its changes are rolled back.
   * @param mode after BEGIN, e.g. `READ ONLY`
   */
  transaction<T>(work: (sql: Sql) => Promise<T>, mode?: string): Promise<T>;
}

/**
 * Runs the `work` of a command, or of a long read, on one connection, and closes it. A lost connection is not replaced.
 * Otherwise the rest of a transaction would run on the new connection, each statement by itself.
 * @throws Error as `work` does, or one that says that the connection was lost, with the code CONNECTION_CLOSED
 */
export async function onOneConnection<T>(
  address: DatabaseAddress,
  options: Omit<ClientOptions, 'maxConnections' | 'reconnects'>,
  work: (connection: OneConnection) => Promise<T>,
): Promise<T> {
  const client = createClient(address, { ...options, maxConnections: 1, reconnects: false });
  const { sql } = client;
  const transaction: OneConnection['transaction'] = (inside, mode) =>
    inTransaction(sql, inside, mode);
  let isLost = false;
  try {
    return await work({ ...client, transaction });
  } catch (cause: unknown) {
    // ROLLBACK fails only if the connection is lost. Then its transaction is over, too.
    await sql`ROLLBACK`.catch(() => {
      isLost = true;
      throw Object.assign(new Error(LOST, { cause }), { code: 'CONNECTION_CLOSED' });
    });
    throw cause;
  } finally {
    await client.close(isLost ? 0 : CLOSE_TIMEOUT_MS);
  }
}

/**
 * Runs `work` in a transaction of a client that has one connection, and does not reconnect. If `work` fails, the
 * transaction stays open, and the caller must roll it back or close the client.
 *
 * `sql.begin` of postgres.js cannot be used here. After the connection is lost, it still writes ROLLBACK to this
 * connection, from a timer. The write throws a TypeError, which ends the process.
 * @param mode after BEGIN, e.g. `READ ONLY`
 */
export async function inTransaction<T>(
  sql: Sql,
  work: (sql: Sql) => Promise<T>,
  mode = '',
): Promise<T> {
  await sql.unsafe(`BEGIN ${mode}`);
  const result = await work(sql);
  await sql`COMMIT`;
  return result;
}

const LOST =
  'PostgreSQL could not be reached, or the connection to it was lost. What was done by then stays. Repeat this when the database is back.';
