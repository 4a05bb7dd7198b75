/**
 * Counts connections for the audit: by session, host, port, outcome and minute. The number of rows of a session per
 * minute is bounded, however many targets its code asks for.
 */
import type { EgressCount, EgressKey } from '../domain/egress.ts';
import type { Queries } from '../events/queries/createQueries.ts';
import { isUndone } from '../events/store/databaseErrors.ts';
import { tooMany } from './egressRefusal.ts';

const MS_PER_MINUTE = 60_000;
/**
 * A session's code can reach this many different targets in a minute. Each has a row, so any further one is refused.
 */
const MAX_ALLOWED_KEYS = 256;
/**
 * This many refused targets of a session have rows of their own in a minute. Further ones are counted together, without
 * host and port.
 */
const MAX_REFUSED_KEYS = 32;
/**
 * If this many rows wait because the database is away, further connections are counted without host and port, and all
 * under the minute in which the limit was reached.
 */
const MAX_WAITING_ROWS = 10_000;
/** How many rows are stored at once. */
const SLICE_ROWS = 1_000;

export interface EgressLog {
  /**
   * Counts a connection that is about to be made. Resolves when its row is stored, so that every connection has a row.
   * @param signal aborted when the connection will not be made. It is then not counted
   * @throws EgressRefusal if the session has too many targets in this minute; the database's error; the signal's reason
   */
  begin(key: EgressKey, signal: AbortSignal): Promise<void>;
  /** Counts a connection that was refused or failed. */
  refused(key: EgressKey): void;
  addBytes(key: EgressKey, sentBytes: number, receivedBytes: number): void;
  /** Stores the counts. */
  record(): Promise<void>;
}

export interface EgressLogDeps {
  readonly queries: Pick<Queries, 'recordEgress' | 'openEgressCount'>;
  readonly now: () => Date;
}

export function createEgressLog({ queries, now }: EgressLogDeps): EgressLog {
  const counts = new Map<string, EgressCount>();
  /** How many rows are being stored. They are put back if they were certainly not stored. */
  let storing = 0;
  /** The minute under which connections are counted while too many rows wait. Null: not too many rows wait. */
  let fullSince: number | null = null;
  let minute = 0;
  /**
   * For this minute: the write of each key's row, the keys that were admitted, and how many keys of each kind a session
   * has.
   */
  let stored = new Map<string, Promise<void>>();
  let seen = new Set<string>();
  let perSession = new Map<string, number>();

  function roll(): void {
    const present = Math.floor(now().getTime() / MS_PER_MINUTE) * MS_PER_MINUTE;
    if (present === minute) return;
    minute = present;
    [stored, seen, perSession] = [new Map(), new Set(), new Map()];
  }

  const textOf = ({ sessionId, host, port, outcome }: EgressKey, at = minute) =>
    [at, sessionId, host, port, outcome].join(' ');

  /** Whether the session may have this key in this minute. If so, the key is remembered. */
  function mayHave(key: EgressKey): boolean {
    const text = textOf(key);
    if (seen.has(text)) return true;
    const isAllowed = key.outcome === 'allowed';
    const kind = `${key.sessionId} ${isAllowed}`;
    const had = perSession.get(kind) ?? 0;
    if (had >= (isAllowed ? MAX_ALLOWED_KEYS : MAX_REFUSED_KEYS)) return false;
    perSession.set(kind, had + 1);
    seen.add(text);
    return true;
  }

  function rowOf(key: EgressKey, at = minute): EgressCount {
    const known = counts.get(textOf(key, at));
    if (known) return known;
    if (counts.size + storing < MAX_WAITING_ROWS) {
      fullSince = null;
      return addRow(key, at);
    }
    fullSince ??= at;
    const folded = { ...key, host: '', port: 0 };
    return counts.get(textOf(folded, fullSince)) ?? addRow(folded, fullSince);
  }

  function addRow(key: EgressKey, at: number): EgressCount {
    const row = emptyRow(key, at);
    counts.set(textOf(key, at), row);
    return row;
  }

  async function store(key: EgressKey): Promise<void> {
    const text = textOf(key);
    const known = stored.get(text);
    if (known) return await known;
    const of = stored;
    const work = queries.openEgressCount(key, new Date(minute));
    of.set(text, work);
    try {
      await work;
    } catch (error: unknown) {
      of.delete(text);
      throw error;
    }
  }

  /** Removes and returns the first rows. Rows that were put back come last. */
  function takeSlice(): readonly EgressCount[] {
    const taken = [...counts].slice(0, SLICE_ROWS);
    for (const [text] of taken) counts.delete(text);
    return taken.map(([, row]) => row);
  }

  function putBack(rows: readonly EgressCount[]): void {
    for (const row of rows) {
      const text = textOf(row, row.minute.getTime());
      const later = counts.get(text);
      if (later) addTo(later, row);
      else counts.set(text, row);
    }
  }

  async function storeSlice(): Promise<void> {
    const rows = takeSlice();
    storing = rows.length;
    try {
      await queries.recordEgress(rows);
    } catch (error: unknown) {
      // If the commit may have succeeded, the counts are dropped. A count may be too low, but never too high.
      if (isUndone(error)) putBack(rows);
      throw error;
    } finally {
      storing = 0;
    }
  }

  return {
    begin: async (key, signal) => {
      roll();
      if (!mayHave(key))
        throw tooMany(
          `Code of a session may reach ${MAX_ALLOWED_KEYS} different hosts and ports in a minute. Try again in the next one.`,
        );
      const at = minute;
      await store(key);
      signal.throwIfAborted();
      rowOf(key, at).connections += 1;
    },
    refused: (key) => {
      roll();
      const counted = mayHave(key) ? key : { ...key, host: '', port: 0 };
      rowOf(counted).connections += 1;
    },
    addBytes: (key, sentBytes, receivedBytes) => {
      roll();
      const row = rowOf(key);
      row.sentBytes += sentBytes;
      row.receivedBytes += receivedBytes;
    },
    record: async () => {
      // Rows that are added meanwhile are stored by the next call.
      for (let left = counts.size; left > 0; left -= SLICE_ROWS) await storeSlice();
    },
  };
}

function emptyRow({ sessionId, host, port, outcome }: EgressKey, at: number): EgressCount {
  return {
    ...{ minute: new Date(at), sessionId, host, port, outcome },
    ...{ connections: 0, sentBytes: 0, receivedBytes: 0 },
  };
}

function addTo(row: EgressCount, more: EgressCount): void {
  row.connections += more.connections;
  row.sentBytes += more.sentBytes;
  row.receivedBytes += more.receivedBytes;
}
