/**
 * The quotas of a group as parameters of `cellhouse_commit`, and the latest counts, which show how long the database
 * need not count again.
 */
import {
  type CountedKind,
  type QuotaLimits,
  type QuotaOwner,
  quotaOwnerKey,
} from '../../domain/quota.ts';
import type { Commit, CommitQuotas } from './eventStore.ts';
import type { PreparedCommit } from './preparedCommit.ts';

/** How many counts are kept. If a count is missing, the owner is counted anew. */
const MAX_KEPT = 10_000;

/** The owner and the kind of a count. */
interface QuotaOf extends QuotaOwner {
  readonly kind: CountedKind;
}

/** The parameters of `cellhouse_commit` for quotas: two nulls if there are none. */
type QuotaRows = readonly [string, number] | readonly [null, null];

/** What `cellhouse_commit` has counted. */
export interface QuotaCount extends QuotaOf {
  readonly count: number;
}

/**
 * The last counts, each with the position at which it was taken. An event raises a count by at most one, whichever
 * gateway recorded it. So if a count is n below its limit, the limit cannot be exceeded within the next n events, and
 * the database need not count until then.
 */
export interface QuotaCounts {
  /** The last position up to which the limit certainly holds. 0 if that is not known. */
  until(of: QuotaOf, limit: number): number;
  /** @param position the position of the last event that was counted */
  learn(counts: readonly QuotaCount[], position: number): void;
}

export function createQuotaCounts(): QuotaCounts {
  const kept = new Map<string, { readonly count: number; readonly position: number }>();
  return {
    until: (of, limit) => {
      const known = kept.get(keyOf(of));
      return known ? known.position + limit - known.count : 0;
    },
    learn: (counts, position) => {
      for (const { count, ...of } of counts) {
        const key = keyOf(of);
        // Deleted first, so that the oldest counts come first in the map.
        kept.delete(key);
        kept.set(key, { count, position });
      }
      for (const key of kept.keys()) {
        if (kept.size <= MAX_KEPT) break;
        kept.delete(key);
      }
    },
  };
}

function keyOf(of: QuotaOf): string {
  return `${of.kind} ${quotaOwnerKey(of)}`;
}

/** The lists of `cellhouse_require_quotas` (`migrations/sql`). Each list has one row for each owner. */
interface QuotaLists {
  readonly openSessions: Map<string, Row>;
  readonly executions: Map<string, Row>;
  readonly minute: Map<string, Row>;
}

interface Row {
  readonly tenant: string;
  readonly user_uuid: string | null;
  readonly added: number;
  readonly maximum?: number | undefined;
  readonly running?: number | undefined;
  readonly queued?: number | undefined;
  readonly max_commands?: number;
  readonly until: number;
}

/** The kinds of each list, each with the column of its limit. */
const LISTS: Readonly<
  Record<keyof QuotaLists, Partial<Record<CountedKind, 'maximum' | 'running' | 'queued'>>>
> = {
  openSessions: { OPEN_SESSIONS: 'maximum' },
  executions: { RUNNING_EXECUTIONS: 'running', QUEUED_EXECUTIONS: 'queued' },
  minute: { EXECUTIONS_PER_MINUTE: 'maximum' },
};

/**
 * The quotas that limit what the group adds, as JSON, and the position up to which none of them can have been reached.
 * Two nulls if there are none. Sessions are counted only if the group opens some, and executions only if it requests
 * some.
 */
export function quotaRows(group: readonly PreparedCommit[], counts: QuotaCounts): QuotaRows {
  const lists: QuotaLists = { openSessions: new Map(), executions: new Map(), minute: new Map() };
  for (const { commit } of group) if (commit.quotas) addRows(lists, commit, commit.quotas);
  let until = Number.POSITIVE_INFINITY;
  const filled: Record<string, Row[]> = {};
  for (const list of ['openSessions', 'executions', 'minute'] as const) {
    const rows = [...lists[list].values()].map((row) => ({
      ...row,
      until: untilOf(list, row, counts),
    }));
    if (rows.length > 0) filled[list] = rows;
    for (const row of rows) until = Math.min(until, row.until);
  }
  return until === Number.POSITIVE_INFINITY ? [null, null] : [JSON.stringify(filled), until];
}

/** How many sessions and executions the commit adds. */
function newOnes({ streams }: Commit) {
  const countNew = (kind: string) =>
    streams.filter(({ stream, state }) => stream === kind && state === null).length;
  return { sessions: countNew('session'), executions: countNew('execution') };
}

function addRows(lists: QuotaLists, commit: Commit, { of, maxCommands }: CommitQuotas): void {
  const { sessions, executions } = newOnes(commit);
  for (const owner of of) {
    if (sessions > 0) addRow(lists, 'openSessions', owner, { added: sessions });
    if (executions > 0) {
      addRow(lists, 'executions', owner, { added: executions, max_commands: maxCommands });
      addRow(lists, 'minute', owner, { added: executions });
    }
  }
}

function addRow(
  lists: QuotaLists,
  list: keyof QuotaLists,
  owner: QuotaLimits,
  facts: Pick<Row, 'added' | 'max_commands'>,
): void {
  const { tenant, userUuid, limits } = owner;
  const key = quotaOwnerKey(owner);
  const before = lists[list].get(key);
  const columns: Record<string, number> = {};
  for (const [kind, column] of entriesOf(list)) {
    // A limit may have changed between two commits of a group. The lower one holds for both.
    const limit = Math.min(limits[kind] ?? Infinity, before?.[column] ?? Infinity);
    if (limit !== Infinity) columns[column] = limit;
  }
  if (Object.keys(columns).length === 0) return;
  const added = facts.added + (before?.added ?? 0);
  lists[list].set(key, { tenant, user_uuid: userUuid, ...facts, ...columns, added, until: 0 });
}

function untilOf(list: keyof QuotaLists, row: Row, counts: QuotaCounts): number {
  const { tenant, user_uuid: userUuid } = row;
  const untils = entriesOf(list).flatMap(([kind, column]) => {
    const limit = row[column];
    return limit === undefined ? [] : counts.until({ kind, tenant, userUuid }, limit);
  });
  return Math.min(...untils);
}

function entriesOf(list: keyof QuotaLists) {
  return Object.entries(LISTS[list]) as [CountedKind, 'maximum' | 'running' | 'queued'][];
}
