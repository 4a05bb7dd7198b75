import { type CountedKind, type QuotaLimits, quotaOwnerKey } from '../../domain/quota.ts';
import type { Commit, CommitQuotas } from './eventStore.ts';
import type { PreparedCommit } from './preparedCommit.ts';
import type { QuotaCounts, QuotaRows } from './quotaCounts.ts';

/** The lists of `cellhouse_require_quotas` (`migrations/sql`). Rows with the same owner are one row. */
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
