/** Counts refused calls for the audit. The counts take a bounded number of rows, however many calls are refused. */

import type { Logger } from 'pino';
import { repeat } from '../../async/repeat.ts';
import { within } from '../../async/within.ts';
import { ERROR_CODES, type ErrorCode } from '../../domain/errors.ts';
import type { RefusedCalls } from '../../events/queries/countQueries.ts';
import type { Queries } from '../../events/queries/createQueries.ts';
import { isUndone } from '../../events/store/databaseErrors.ts';

/** The maximum number of keys (token, operation and code) per minute. Calls with further keys are counted together. */
const MAX_KEYS_PER_MINUTE = 4_096;
const MS_PER_MINUTE = 60_000;

/** The codes for what a caller may not do. The audit counts only these. */
const AUDITED: ReadonlySet<string> = new Set(['FORBIDDEN', 'QUOTA_EXCEEDED', 'UNAUTHENTICATED']);

export interface Refusals extends Counted {
  /** Counts the refusal; for the audit, too, if its code is in {@link AUDITED}. @param token null: unknown */
  add(token: string | null, operation: string, code: ErrorCode): void;
  /** The id of an unexpected error, for the log entry and for the caller. Counts the error as INTERNAL. */
  newErrorId(): string;
  /** The number of refusals since the start, for every code. */
  readonly totals: ReadonlyMap<ErrorCode, number>;
}

export function createRefusals(
  queries: Pick<Queries, 'recordRefusedCalls'>,
  now: () => Date,
  newId: () => string,
): Refusals {
  const totals = new Map(ERROR_CODES.map((code) => [code, 0]));
  let counts = new Map<string, RefusedCalls>();
  let minute = 0;
  /** The keys of this minute. */
  let keys = new Set<string>();

  function rowOf(token: string, operation: string, code: string): RefusedCalls {
    const key = JSON.stringify([minute, token, operation, code]);
    if (!keys.has(key) && keys.size >= MAX_KEYS_PER_MINUTE && operation !== 'other')
      return rowOf('other', 'other', code);
    keys.add(key);
    const known = counts.get(key);
    if (known) return known;
    const row = { minute: new Date(minute), token, operation, code, count: 0 };
    counts.set(key, row);
    return row;
  }

  function total(code: ErrorCode): void {
    totals.set(code, (totals.get(code) ?? 0) + 1);
  }

  async function record(): Promise<void> {
    if (counts.size === 0) return;
    const taken = counts;
    counts = new Map();
    try {
      await queries.recordRefusedCalls([...taken.values()]);
    } catch (error: unknown) {
      // If the counts may have been recorded, they are dropped. The audit may then have too few refusals, but never too
      // many.
      if (!isUndone(error)) throw error;
      for (const [key, row] of counts) row.count += taken.get(key)?.count ?? 0;
      counts = new Map([...taken, ...counts]);
      throw error;
    }
  }

  return {
    totals,
    add: (token, operation, code) => {
      total(code);
      if (!AUDITED.has(code)) return;
      const present = Math.floor(now().getTime() / MS_PER_MINUTE) * MS_PER_MINUTE;
      if (present !== minute) [minute, keys] = [present, new Set()];
      rowOf(token ?? 'unknown', operation, code).count += 1;
    },
    newErrorId: () => {
      total('INTERNAL');
      return newId();
    },
    recordSome: record,
    close: record,
  };
}

/** How long a stopping gateway waits for a database that does not answer. Counts that are left then are lost. */
const CLOSE_LIMIT_MS = 2_000;
/** How often `recordSome` is called. */
const INTERVAL_MS = 1_000;

/**
 * Counts in memory that are recorded from time to time. If recording has certainly failed, the counts are kept for the
 * next time.
 */
export interface Counted {
  /** Records the counts, perhaps not at every call. */
  recordSome(): Promise<void>;
  /** Records what is left. */
  close(): Promise<void>;
}

/** Records the counts from time to time. The returned function stops that, and records the rest. */
export function recordCounts(counts: readonly Counted[], logger: Logger): () => Promise<void> {
  const closing = new AbortController();

  async function record(how: 'recordSome' | 'close'): Promise<void> {
    for (const each of counts) {
      await each[how]().catch((err: unknown) =>
        logger.warn({ err }, 'Could not record uses of tokens or refused calls'),
      );
    }
  }

  const running = repeat(INTERVAL_MS, closing.signal, () => record('recordSome'));
  return async () => {
    closing.abort();
    const last = running.then(() => record('close'));
    await within(CLOSE_LIMIT_MS, last, () => undefined);
  };
}
