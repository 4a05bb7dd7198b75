/** What a commit asks beyond what holds for every entity: each is one entity's rule, and a block of its own in `cellhouse_commit`. */
import type { Execution } from '../../domain/execution.ts';
import type { Worker } from '../../domain/worker.ts';
import { jsonArray } from './jsonArray.ts';
import type { PreparedCommit } from './preparedCommit.ts';

type Group = readonly PreparedCommit[];

/** Sessions that must be open at a version, as two columns. */
export function guardColumns(group: Group): [readonly string[], readonly number[]] | [null, null] {
  const guards = group.flatMap(({ commit }) => commit.openSessions ?? []);
  if (guards.length === 0) return [null, null];
  return [guards.map(({ id }) => id), guards.map(({ version }) => version)];
}

/** For each session that gets executions and has a limit: how many it gets, and the least that one of their commits allows. */
export function unfinishedLimits(group: Group): string | null {
  return limitRows(group, ({ commit: { streams, maxUnfinished }, states }, add) => {
    for (const [index, { stream, state }] of streams.entries()) {
      if (stream !== 'execution' || state !== null) continue;
      const { sessionId, workerId } = states[index] as Execution;
      add({ session_id: sessionId, worker_id: workerId }, maxUnfinished);
    }
  });
}

/** The same for each pool that gets workers. */
export function workerLimits(group: Group): string | null {
  return limitRows(group, ({ commit: { streams, maxWorkers }, states }, add) => {
    for (const [index, { stream, state }] of streams.entries()) {
      if (stream !== 'worker' || state !== null) continue;
      add({ pool_id: (states[index] as Worker).poolId }, maxWorkers);
    }
  });
}

/** Sessions that change and must have been idle since a time. */
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
  readonly maximum: number;
}

type AddOne = (of: Readonly<Record<string, string>>, maximum: number | undefined) => void;

/** By what is limited: how many are added to it, and the least maximum, if there is any. */
function limitRows(group: Group, eachOf: (prepared: PreparedCommit, add: AddOne) => void) {
  const limits = new Map<string, LimitRow>();
  const add: AddOne = (of, maximum = Number.POSITIVE_INFINITY) => {
    const key = Object.values(of).join();
    const before = limits.get(key) ?? { added: 0, maximum };
    const least = Math.min(before.maximum, maximum);
    limits.set(key, { ...of, added: before.added + 1, maximum: least });
  };
  for (const prepared of group) eachOf(prepared, add);
  const rows = [...limits.values()].filter(({ maximum }) => Number.isFinite(maximum));
  return jsonArray(rows.map((row) => JSON.stringify(row)));
}
