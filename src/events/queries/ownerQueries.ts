import type { FileChange } from '../../domain/fileChange.ts';
import type { Session } from '../../domain/session.ts';
import type { Owner } from '../../domain/users.ts';
import {
  type Client,
  type DatabaseAddress,
  onOneConnection,
  type Sql,
} from '../connection/client.ts';
import { isOf } from './listQueries.ts';

/** How many entities of an owner have not ended. */
export interface Unfinished {
  readonly sessions: number;
  readonly contexts: number;
  readonly executions: number;
  readonly fileChanges: number;
  /** Workers of closed sessions whose containers are not removed yet. */
  readonly workers: number;
}

/** How many entities an owner has, ended ones included. */
export interface Held {
  readonly users: number;
  readonly sessions: number;
  readonly openSessions: number;
  readonly contexts: number;
  readonly notebooks: number;
  readonly executions: number;
  /** The output of the executions, in bytes. */
  readonly outputBytes: number;
  readonly fileChanges: number;
  readonly tokens: number;
  readonly quotas: number;
}

/**
 * Reads for `cellhouse forget`: the entities that it forgets, and the unfinished ones that it waits for. Statements
 * that read all rows of the owner have no time limit, because an owner with a very long history must be forgotten, too.
 * @param address the address of the same database
 */
export function createOwnerQueries({ sql, answered }: Client, address: DatabaseAddress) {
  const unlimited = <T>(read: (one: Sql) => Promise<T>): Promise<T> =>
    onOneConnection(address, { name: 'owner', statementTimeoutMs: 0 }, (one) => read(one.sql));
  const isPending = (one: Sql) => one`
    t.finished_at IS NULL AND NOT EXISTS (
      SELECT FROM pruned_streams p WHERE p.stream_id = 'fileChange-' || t.id)`;
  return {
    openSessionsOf: async (owner: Owner): Promise<Session[]> =>
      await answered(sql<Session[]>`
        SELECT * FROM sessions t WHERE ${isOf(sql, owner)} AND t.closed_at IS NULL ORDER BY t.id`),

    heldBy: async (owner: Owner): Promise<Held> => {
      const [held] = await unlimited((one) => {
        const mine = isOf(one, owner);
        return one<[Held]>`
        SELECT s.*, x.*,
          (SELECT count(*) FROM contexts t WHERE ${mine}) AS contexts,
          (SELECT count(*) FROM notebooks t WHERE ${mine}) AS notebooks,
          (SELECT count(*) FROM file_changes t WHERE ${mine}) AS file_changes,
          (SELECT count(*) FROM tokens t WHERE ${mine}) AS tokens,
          (SELECT count(*) FROM quotas t WHERE ${mine}) AS quotas
        FROM (SELECT count(DISTINCT t.user_uuid) AS users, count(*) AS sessions,
            count(*) FILTER (WHERE t.closed_at IS NULL) AS open_sessions
          FROM sessions t WHERE ${mine}) s,
          (SELECT count(*) AS executions, coalesce(sum(t.output_bytes), 0)::bigint AS output_bytes
          FROM executions t WHERE ${mine}) x`;
      });
      return held;
    },

    /** File changes without an outcome, at most `limit`. */
    pendingChangesOf: async (owner: Owner, limit: number): Promise<FileChange[]> =>
      await unlimited(
        (one) => one<FileChange[]>`
        SELECT * FROM file_changes t WHERE ${isOf(one, owner)} AND ${isPending(one)} ORDER BY t.id LIMIT ${limit}`,
      ),

    unfinishedOf: async (owner: Owner): Promise<Unfinished> => {
      const [counts] = await unlimited((one) => {
        const mine = isOf(one, owner);
        return one<Unfinished[]>`
        SELECT
          (SELECT count(*) FROM sessions t WHERE ${mine} AND t.closed_at IS NULL) AS sessions,
          (SELECT count(*) FROM contexts t WHERE ${mine} AND t.ended_at IS NULL) AS contexts,
          (SELECT count(*) FROM executions t WHERE ${mine} AND t.finished_at IS NULL) AS executions,
          (SELECT count(*) FROM file_changes t WHERE ${mine} AND ${isPending(one)}) AS file_changes,
          (SELECT count(*) FROM workers w JOIN sessions t ON t.worker_id = w.id
            WHERE w.state <> 'REMOVED' AND ${mine} AND t.closed_at IS NOT NULL) AS workers`;
      });
      return counts ?? { sessions: 0, contexts: 0, executions: 0, fileChanges: 0, workers: 0 };
    },
  };
}
