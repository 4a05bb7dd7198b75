/**
 * Counts connections for the audit: by session, host, port, outcome and minute. Each session has a bounded number of rows
 * in a minute, whatever its code asks for.
 */
import type { EgressCount, EgressKey } from '../domain/egress/egressCount.ts';
import type { Queries } from '../events/queries/createQueries.ts';
import { isUndone } from '../events/store/databaseErrors.ts';
import { tooMany } from './egressRefusal.ts';

const MS_PER_MINUTE = 60_000;
/** Code that asks for more different targets in a minute gets none of them: each must have its row. */
const MAX_ALLOWED_KEYS = 256;
/** What is refused beyond that is counted together, without its host. */
const MAX_REFUSED_KEYS = 32;

export interface EgressLog {
  /**
   * Counts a connection that is about to be made. Resolves when its row is stored, so that no connection is without one.
   * @throws EgressRefusal if the session has too many targets in this minute; the database's error
   */
  begin(key: EgressKey): Promise<void>;
  /** Counts what was refused or failed. */
  refused(key: EgressKey): void;
  addBytes(key: EgressKey, sentBytes: number, receivedBytes: number): void;
  /** Stores what was counted. */
  record(): Promise<void>;
}

export interface EgressLogDeps {
  readonly queries: Pick<Queries, 'recordEgress'>;
  readonly now: () => Date;
}

export function createEgressLog({ queries, now }: EgressLogDeps): EgressLog {
  let counts = new Map<string, EgressCount>();
  let minute = 0;
  /** Of this minute: the keys whose rows are stored or being stored, and how many of each kind a session has. */
  let stored = new Map<string, Promise<void>>();
  let seen = new Set<string>();
  let perSession = new Map<string, number>();

  function roll(): void {
    const present = Math.floor(now().getTime() / MS_PER_MINUTE) * MS_PER_MINUTE;
    if (present === minute) return;
    minute = present;
    [stored, seen, perSession] = [new Map(), new Set(), new Map()];
  }

  const textOf = ({ sessionId, host, port, outcome }: EgressKey) =>
    [minute, sessionId, host, port, outcome].join(' ');

  /** Whether the key is one of those that the session may have in this minute. */
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

  function rowOf(key: EgressKey): EgressCount {
    const text = textOf(key);
    const known = counts.get(text);
    if (known) return known;
    const { sessionId, host, port, outcome } = key;
    const row: EgressCount = {
      ...{ minute: new Date(minute), sessionId, host, port, outcome },
      ...{ connections: 0, sentBytes: 0, receivedBytes: 0 },
    };
    counts.set(text, row);
    return row;
  }

  async function store(key: EgressKey): Promise<void> {
    const text = textOf(key);
    const known = stored.get(text);
    if (known) return await known;
    const { sessionId, host, port, outcome } = key;
    const of = stored;
    const storing = queries.recordEgress([
      {
        ...{ minute: new Date(minute), sessionId, host, port, outcome },
        ...{ connections: 0, sentBytes: 0, receivedBytes: 0 },
      },
    ]);
    of.set(text, storing);
    try {
      await storing;
    } catch (error: unknown) {
      of.delete(text);
      throw error;
    }
  }

  return {
    begin: async (key) => {
      roll();
      if (!mayHave(key))
        throw tooMany(
          `Code of a session may reach ${MAX_ALLOWED_KEYS} different hosts and ports in a minute. Try again in the next one.`,
        );
      rowOf(key).connections += 1;
      await store(key);
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
      if (counts.size === 0) return;
      const taken = counts;
      counts = new Map();
      try {
        await queries.recordEgress([...taken.values()]);
      } catch (error: unknown) {
        // If it may have been done, the counts are given up: never too many.
        if (!isUndone(error)) throw error;
        for (const [text, row] of counts) {
          const earlier = taken.get(text);
          row.connections += earlier?.connections ?? 0;
          row.sentBytes += earlier?.sentBytes ?? 0;
          row.receivedBytes += earlier?.receivedBytes ?? 0;
        }
        counts = new Map([...taken, ...counts]);
        throw error;
      }
    },
  };
}
