/** Conditions of a commit that concern only one entity. Each has its own block in `cellhouse_commit`. */
import type { Execution } from '../../domain/execution.ts';
import { queueOf } from '../../domain/queueOf.ts';
import type { Worker } from '../../domain/worker.ts';
import { jsonArray } from './jsonArray.ts';
import type { PreparedCommit } from './preparedCommit.ts';

type Group = readonly PreparedCommit[];

/** The sessions that must be open at a given version, as two columns: ids and versions. */
export function guardColumns(group: Group): [readonly string[], readonly number[]] | [null, null] {
  const guards = group.flatMap(({ commit }) => commit.openSessions ?? []);
  if (guards.length === 0) return [null, null];
  return [guards.map(({ id }) => id), guards.map(({ version }) => version)];
}

/**
 * A row for each queue that gets executions under a limit, or that must have no unknown executions. It says how many
 * executions are added, the lowest limit of their commits, and whether an added one must be the first.
 */
export function unfinishedLimits(group: Group): string | null {
  return limitRows(group, ({ commit, states }, add) => {
    const { streams, maxUnfinished: maximum, isFirstExecution: isFirst, knownQueues } = commit;
    for (const { of, count } of knownQueues ?? [])
      add(queueColumns(of), { added: 0, maximum: count });
    for (const [index, { stream, state }] of streams.entries()) {
      if (stream !== 'execution' || state !== null) continue;
      add(queueColumns(states[index] as Execution), { maximum, isFirst });
    }
  });
}

/** The queue of an execution, as `cellhouse_commit` takes it. */
function queueColumns(execution: Execution): Record<string, string> {
  const queue = queueOf(execution);
  return {
    session_id: execution.sessionId,
    worker_id: execution.workerId,
    ...(queue === 'commands' ? { is_command: 'true' } : queue && { context_id: queue }),
  };
}

/** A row for each pool that gets workers under a limit: how many are added, and the lowest limit. */
export function workerLimits(group: Group): string | null {
  return limitRows(group, ({ commit: { streams, maxWorkers }, states }, add) => {
    for (const [index, { stream, state }] of streams.entries()) {
      if (stream !== 'worker' || state !== null) continue;
      add({ pool_id: (states[index] as Worker).poolId }, { maximum: maxWorkers });
    }
  });
}

/** The sessions that change and must have been idle since a given time. */
export function idleSessions(group: Group): string | null {
  return jsonArray(
    group.flatMap(({ commit: { streams, idleSince } }) => {
      if (!idleSince) return [];
      const changed = streams.filter(({ stream, state }) => stream === 'session' && state !== null);
      return changed.map(({ id }) => JSON.stringify({ id, idle_since: idleSince.toISOString() }));
    }),
  );
}

interface LimitRow {
  readonly added: number;
  /** In JSON, Infinity becomes null: any number. */
  readonly maximum: number;
  readonly is_first?: true;
}

interface Limit {
  /** 1 if it is left out. */
  readonly added?: number;
  readonly maximum: number | undefined;
  readonly isFirst?: boolean | undefined;
}

type AddLimit = (of: Readonly<Record<string, string>>, limit: Limit) => void;

/** A row for each queue or pool that has a limit: how many are added to it, and the strictest limit. */
function limitRows(group: Group, eachOf: (prepared: PreparedCommit, add: AddLimit) => void) {
  const limits = new Map<string, LimitRow>();
  const add: AddLimit = (
    of,
    { added = 1, maximum = Number.POSITIVE_INFINITY, isFirst = false },
  ) => {
    const key = Object.values(of).join();
    const before = limits.get(key) ?? { added: 0, maximum };
    limits.set(key, {
      ...of,
      added: before.added + added,
      maximum: Math.min(before.maximum, maximum),
      ...((isFirst || before.is_first) && { is_first: true }),
    });
  };
  for (const prepared of group) eachOf(prepared, add);
  const rows = [...limits.values()].filter(
    ({ maximum, is_first: isFirst }) => isFirst || Number.isFinite(maximum),
  );
  return jsonArray(rows.map((row) => JSON.stringify(row)));
}
