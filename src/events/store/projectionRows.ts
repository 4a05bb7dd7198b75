import type { StreamKind } from '../../domain/events.ts';
import type { Execution } from '../../domain/execution.ts';
import { projectionJson } from '../projections/projectionJson.ts';
import type { Commit } from './eventStore.ts';
import { jsonArray } from './jsonArray.ts';
import type { PreparedCommit } from './preparedCommit.ts';

interface LimitRow {
  readonly session_id: string;
  readonly worker_id: string;
  readonly added: number;
  readonly max_unfinished: number;
}

/** For each session that gets executions and has a limit: how many it gets, and the least that one of their commits allows. */
export function limitRows(group: readonly PreparedCommit[]): string[] {
  const limits = new Map<string, LimitRow>();
  for (const { commit, states } of group) {
    const limit = commit.maxUnfinished ?? Number.POSITIVE_INFINITY;
    for (const [index, { stream, state }] of commit.streams.entries()) {
      if (stream !== 'execution' || state !== null) continue;
      const { sessionId, workerId } = states[index] as Execution;
      const { added, max_unfinished } = limits.get(sessionId) ?? {
        added: 0,
        max_unfinished: limit,
      };
      limits.set(sessionId, {
        session_id: sessionId,
        worker_id: workerId,
        added: added + 1,
        max_unfinished: Math.min(max_unfinished, limit),
      });
    }
  }
  return [...limits.values()]
    .filter((row) => Number.isFinite(row.max_unfinished))
    .map((row) => JSON.stringify(row));
}

/** For each projection: rows that are new, and rows that change, with the version they must be at. */
export function projectionRows(group: readonly PreparedCommit[]): (string | null)[] {
  const rows: Record<StreamKind, { added: string[]; changed: string[] }> = {
    worker: { added: [], changed: [] },
    session: { added: [], changed: [] },
    execution: { added: [], changed: [] },
  };
  let number = 1;
  for (const { commit, states } of group) {
    for (const [index, { stream, state, events }] of commit.streams.entries()) {
      const after = states[index];
      if (after && events.length > 0) {
        if (state === null) {
          rows[stream].added.push(projectionJson(after, besides(stream, commit, number)));
        } else {
          const idle = stream === 'session' ? { idle_since: commit.idleSince?.toISOString() } : {};
          rows[stream].changed.push(
            projectionJson(after, { expected_version: state.version, ...idle }),
          );
        }
      }
      number += events.length;
    }
  }
  return Object.values(rows).flatMap(({ added, changed }) => [
    jsonArray(added),
    jsonArray(changed),
  ]);
}

/** What `cellhouse_commit` takes beside a new row's columns. */
function besides(
  stream: StreamKind,
  { maxWorkers }: Commit,
  number: number,
): Record<string, unknown> {
  switch (stream) {
    case 'worker':
      return { max_workers: maxWorkers };
    case 'session':
      return {};
    case 'execution':
      return { requested_position: number };
    default:
      return stream satisfies never;
  }
}
