/** Queries of sessions and contexts, and of the notebooks and readers of contexts. */
import type { Context, ContextOffset } from '../../domain/context.ts';
import type { Execution } from '../../domain/execution.ts';
import type { ContextId, ExecutionId, NotebookId, SessionId, WorkerId } from '../../domain/ids.ts';
import type { Notebook } from '../../domain/notebook.ts';
import type { Session } from '../../domain/session.ts';
import type { Users } from '../../domain/users.ts';
import type { Client } from '../connection/client.ts';
import { decodeJson } from '../store/preparedCommit.ts';
import { type ExecutionRow, firstOrNull, toExecution } from './listQueries.ts';

export function createSessionQueries(client: Client) {
  return { ...single(client), ...many(client), ...uses(client) };
}

function single({ sql, answered }: Client) {
  return {
    session: async (id: SessionId): Promise<Session | null> =>
      firstOrNull(await answered(sql<Session[]>`SELECT * FROM sessions WHERE id = ${id}`)),

    /** The user's open session; there is at most one. */
    openSession: async (tenant: string, userUuid: string): Promise<Session | null> =>
      firstOrNull(
        await answered(sql<Session[]>`
          SELECT * FROM sessions
          WHERE tenant = ${tenant} AND user_uuid = ${userUuid} AND closed_at IS NULL`),
      ),

    /** The user's session that was opened last, open or closed. */
    lastSession: async (tenant: string, userUuid: string): Promise<Session | null> =>
      firstOrNull(
        await answered(sql<Session[]>`
          SELECT * FROM sessions WHERE tenant = ${tenant} AND user_uuid = ${userUuid}
          ORDER BY opened_at DESC, id DESC LIMIT 1`),
      ),

    openSessionOfWorker: async (workerId: WorkerId): Promise<Session | null> =>
      firstOrNull(
        await answered(sql<Session[]>`
          SELECT * FROM sessions WHERE worker_id = ${workerId} AND closed_at IS NULL`),
      ),
  };
}

function many({ sql, answered }: Client) {
  return {
    /** All open sessions, oldest first. */
    openSessions: async (): Promise<Session[]> =>
      await answered(sql<Session[]>`
        SELECT * FROM sessions WHERE closed_at IS NULL ORDER BY opened_at, id`),

    /** How many open sessions each tenant has. A tenant without any is absent. */
    openSessionsByTenant: async (): Promise<Map<string, number>> => {
      const rows = await answered(sql<{ tenant: string; count: number }[]>`
        SELECT tenant, count(*)::int AS count FROM sessions WHERE closed_at IS NULL GROUP BY tenant`);
      return new Map(rows.map(({ tenant, count }) => [tenant, count]));
    },

    /**
     * Open sessions that are idle, oldest first. They were opened before their idle time began, have no unfinished
     * execution, and had neither the end of an execution nor another use in that time. Of a command that does not keep
     * its session alive, only the request counts as a use.
     */
    idleSessions: async (at: Date, timeoutMs: number, limit: number): Promise<Session[]> =>
      await answered(sql<Session[]>`
        SELECT s.* FROM sessions s, LATERAL (
          SELECT ${at}::timestamptz - coalesce(s.idle_timeout_ms, ${timeoutMs}) * interval '1 ms' AS since
        ) idle
        WHERE s.closed_at IS NULL AND s.opened_at < idle.since
          AND NOT EXISTS (SELECT FROM executions e WHERE e.session_id = s.id AND e.finished_at IS NULL
            AND (e.keeps_alive OR e.requested_at >= idle.since))
          AND NOT EXISTS (SELECT FROM executions e WHERE e.session_id = s.id AND e.finished_at >= idle.since
            AND (e.keeps_alive OR e.requested_at >= idle.since))
          AND NOT EXISTS (SELECT FROM session_uses u WHERE u.session_id = s.id AND u.used_at >= idle.since)
        ORDER BY s.opened_at, s.id LIMIT ${limit}`),

    /**
     * Open sessions whose life is over at `at`, oldest first.
     * @param maxLifeMs the life of a session without an end of its own, counted from its opening
     */
    expiredSessions: async (at: Date, maxLifeMs: number, limit: number): Promise<Session[]> =>
      await answered(sql<Session[]>`
        SELECT * FROM sessions WHERE closed_at IS NULL
          AND coalesce(expires_at, opened_at + ${maxLifeMs} * interval '1 ms') <= ${at}
        ORDER BY opened_at, id LIMIT ${limit}`),
  };
}

function uses({ sql, answered }: Client) {
  return {
    /**
     * Records that an open session is used at `at`, other than by an execution. Resolves with false, and records
     * nothing, if the session is closed. If the session is just being closed, this waits for the outcome. So a use and
     * an end as idle never both succeed.
     */
    touchSession: async (id: SessionId, at: Date): Promise<boolean> => {
      const { count } = await answered(sql`
        WITH open AS (
          SELECT s.id FROM sessions s WHERE s.id = ${id} AND s.closed_at IS NULL FOR SHARE
        )
        INSERT INTO session_uses AS u (session_id, used_at) SELECT open.id, ${at}::timestamptz FROM open
        ON CONFLICT (session_id) DO UPDATE SET used_at = greatest(u.used_at, excluded.used_at)`);
      return count > 0;
    },

    /** Records that an environment was asked for at `at`. */
    recordEnvironmentUse: async (name: string, at: Date): Promise<void> => {
      await answered(sql`
        INSERT INTO environment_uses AS u (name, asked_at) VALUES (${name}, ${at})
        ON CONFLICT (name) DO UPDATE SET asked_at = greatest(u.asked_at, excluded.asked_at)`);
    },

    /** The names of environments that were asked for at `since` or later, the most recent first. */
    environmentsAskedSince: async (since: Date): Promise<string[]> => {
      const rows = await answered(sql<{ name: string }[]>`
        SELECT name FROM environment_uses WHERE asked_at >= ${since} ORDER BY asked_at DESC, name`);
      return rows.map(({ name }) => name);
    },

    /** Whether the user has accepted the end of this session, which had options. */
    isEndAccepted: async (id: SessionId): Promise<boolean> => {
      const rows = await answered(sql`SELECT FROM accepted_ends WHERE session_id = ${id}`);
      return rows.length > 0;
    },

    /** Records that the user accepts the end of this session. Idempotent. */
    acceptEnd: async (id: SessionId): Promise<void> => {
      await answered(
        sql`INSERT INTO accepted_ends (session_id) VALUES (${id}) ON CONFLICT DO NOTHING`,
      );
    },

    /**
     * The values of the session's environment variables. Null if there are none; they are deleted when the session
     * ends.
     */
    sessionVariables: async (id: SessionId): Promise<Readonly<Record<string, string>> | null> => {
      const rows = await answered(sql<{ name: string; value: string }[]>`
        SELECT name, value FROM session_variables WHERE session_id = ${id}`);
      if (rows.length === 0) return null;
      return Object.fromEntries(rows.map(({ name, value }) => [name, value]));
    },

    /**
     * Deletes the variables, uses and readers of sessions that are not open, and the readers of ended contexts. A
     * trigger deletes variables and uses when a session ends, but not if a rebuild of the projections closed it.
     */
    deleteLeftOfSessions: async (): Promise<void> => {
      await answered(sql`
        DELETE FROM session_variables v
        WHERE NOT EXISTS (SELECT FROM sessions s WHERE s.id = v.session_id AND s.closed_at IS NULL)`);
      await answered(sql`
        DELETE FROM session_uses u
        WHERE NOT EXISTS (SELECT FROM sessions s WHERE s.id = u.session_id AND s.closed_at IS NULL)`);
      await answered(sql`
        DELETE FROM context_readers r
        WHERE NOT EXISTS (SELECT FROM sessions s WHERE s.id = r.session_id AND s.closed_at IS NULL)
          OR EXISTS (SELECT FROM contexts c WHERE c.id = r.context_id AND c.ended_at IS NOT NULL)`);
    },

    /** Whether the session's default context ever had an execution. */
    hasExecution: async (id: SessionId): Promise<boolean> => {
      const rows = await answered(sql`SELECT FROM executions
        WHERE session_id = ${id} AND language = 'PYTHON' AND context_id IS NULL LIMIT 1`);
      return rows.length > 0;
    },
  };
}

/** The activity of a session's kernels. */
export interface KernelActivity {
  readonly sessionId: SessionId;
  /** When an execution of the session ended last. Null: no execution has ended. */
  readonly lastFinishedAt: Date | null;
  /** The cells that have not ended, in the order of acceptance, each with its context. */
  readonly unfinished: readonly {
    readonly id: ExecutionId;
    readonly contextId: ContextId | SessionId;
  }[];
}

interface ContextExecution {
  readonly execution: Execution;
  readonly code: string;
  /** The position of the execution's request. */
  readonly position: number;
}

/** Which executions of a context are read. */
interface ContextExecutions {
  readonly session: Session;
  readonly contextId: string;
  /** Ended executions are included from this position on. Null: no ended ones. */
  readonly from: number | null;
  /** Limits for the ended executions, of which the latest are read: their number, and the bytes of their code. */
  readonly maxEnded: { readonly count: number; readonly codeBytes: number };
}

export function createContextQueries({ sql, answered }: Client) {
  return {
    /** The cells of a context that have not ended, and some of those that have, in the order of acceptance. */
    contextExecutions: async ({
      session: { id, tenant, userUuid, workerId },
      contextId,
      from,
      maxEnded,
    }: ContextExecutions): Promise<ContextExecution[]> => {
      const rows = await answered(sql<(ExecutionRow & { code: unknown; position: number })[]>`
        WITH found AS (
          SELECT x.id, x.requested_position, x.code_bytes, x.finished_at IS NOT NULL AS has_ended FROM executions x
          WHERE x.worker_id = ${workerId} AND x.finished_at IS NULL
            AND x.language = 'PYTHON' AND coalesce(x.context_id, x.session_id) = ${contextId}
          UNION
          SELECT x.id, x.requested_position, x.code_bytes, x.finished_at IS NOT NULL FROM executions x
          WHERE x.tenant = ${tenant} AND x.user_uuid = ${userUuid} AND x.requested_position >= ${from}::bigint
            AND x.session_id = ${id} AND x.language = 'PYTHON' AND coalesce(x.context_id, x.session_id) = ${contextId}
        ), counted AS (
          SELECT id, has_ended, count(*) OVER later AS count, sum(code_bytes) OVER later AS bytes
          FROM found WINDOW later AS (PARTITION BY has_ended ORDER BY requested_position DESC)
        )
        SELECT x.*, x.requested_position AS position, e.data -> 'code' AS code
        FROM counted c JOIN executions x ON x.id = c.id
        JOIN events e ON e.stream_id = 'execution-' || x.id AND e.version = 1
        WHERE NOT c.has_ended OR (c.count <= ${maxEnded.count} AND c.bytes <= ${maxEnded.codeBytes})
        ORDER BY x.requested_position`);
      return rows.map(({ code, position, ...row }) => ({
        execution: toExecution(row),
        code: String(decodeJson(code)),
        position,
      }));
    },

    /** In no order. */
    contexts: async (ids: readonly ContextId[]): Promise<Context[]> =>
      await answered(sql<Context[]>`SELECT * FROM contexts WHERE id = ANY (${[...ids]}::uuid[])`),

    /** The open contexts of each session, without the default one, oldest first. */
    openContexts: async (ids: readonly SessionId[]): Promise<Context[]> =>
      await answered(sql<Context[]>`
        SELECT * FROM contexts WHERE session_id = ANY (${[...ids]}::uuid[]) AND ended_at IS NULL
        ORDER BY created_at, id`),

    /** Like `openContexts`, for the session that the worker serves or has served. */
    openContextsOfWorker: async (workerId: WorkerId): Promise<Context[]> =>
      await answered(sql<Context[]>`
        SELECT * FROM contexts WHERE worker_id = ${workerId} AND ended_at IS NULL
        ORDER BY created_at, id`),

    /** In no order. */
    kernelActivity: async (ids: readonly SessionId[]): Promise<KernelActivity[]> =>
      await answered(sql<KernelActivity[]>`
        SELECT s.id AS session_id,
          (SELECT max(x.finished_at) FROM executions x WHERE x.session_id = s.id) AS last_finished_at,
          (SELECT coalesce(json_agg(json_build_object('id', x.id, 'contextId', coalesce(x.context_id, s.id))
              ORDER BY x.requested_position), '[]')
            FROM executions x WHERE x.session_id = s.id AND x.finished_at IS NULL AND x.language = 'PYTHON') AS unfinished
        FROM sessions s WHERE s.id = ANY (${[...ids]}::uuid[])`),
  };
}

/** A follower of a context, with a name under which it can come back. */
export interface ContextReader {
  readonly sessionId: SessionId;
  /** The id of the context. For the default context, that of the session. */
  readonly contextId: string;
  /** A hash of the follower's name. */
  readonly reader: string;
}

export type ReaderOffset = ContextReader & ContextOffset;

/** How many readers of a context are remembered: those that acknowledged something most recently. */
const MAX_READERS = 32;

/** Queries for the offsets that readers of contexts have acknowledged. */
export function createContextReaderQueries({ sql, answered }: Client) {
  return {
    /** How far the reader has come. Null if that is not known. */
    readerOffset: async ({ contextId, reader }: ContextReader): Promise<ContextOffset | null> =>
      firstOrNull(
        await answered(sql<ContextOffset[]>`
          SELECT position, seq FROM context_readers
          WHERE context_id = ${contextId} AND reader = ${reader}`),
      ),

    /**
     * Records how far readers have come. A reader's place never moves back. Nothing is recorded for a session that has
     * ended.
     */
    recordReaders: async (places: readonly ReaderOffset[]): Promise<void> => {
      // All gateways lock the rows in this order, so they cannot deadlock.
      await answered(sql`
        INSERT INTO context_readers AS r (context_id, reader, session_id, position, seq, reached_at)
        SELECT n."contextId", n.reader, n."sessionId", n.position, n.seq, clock_timestamp()
        FROM json_to_recordset(${JSON.stringify(places)}::text::json)
          AS n ("contextId" uuid, reader text, "sessionId" uuid, position bigint, seq integer)
        JOIN sessions s ON s.id = n."sessionId" AND s.closed_at IS NULL
        ORDER BY n."contextId", n.reader
        ON CONFLICT (context_id, reader) DO UPDATE
          SET position = excluded.position, seq = excluded.seq, reached_at = excluded.reached_at
          WHERE (r.position, r.seq) < (excluded.position, excluded.seq)`);
    },

    /** Forgets the readers of a context beyond {@link MAX_READERS}. */
    trimReaders: async (contextId: string): Promise<void> => {
      await answered(sql`
        DELETE FROM context_readers r USING (
          SELECT context_id, reader FROM context_readers WHERE context_id = ${contextId}
          ORDER BY reached_at DESC, reader OFFSET ${MAX_READERS}
        ) old WHERE r.context_id = old.context_id AND r.reader = old.reader`);
    },
  };
}

export function createNotebookQueries({ sql, answered }: Client) {
  return {
    notebook: async (id: NotebookId): Promise<Notebook | null> =>
      firstOrNull(await answered(sql<Notebook[]>`SELECT * FROM notebooks WHERE id = ${id}`)),

    /** The open notebooks of these users whose context has not ended, oldest first. */
    openNotebooks: async (tenant: string, users: Users, limit: number): Promise<Notebook[]> =>
      await answered(sql<Notebook[]>`
        SELECT n.* FROM notebooks n WHERE n.tenant = ${tenant} AND n.closed_at IS NULL
          AND ${'uuid' in users ? sql`n.user_uuid = ${users.uuid}` : sql`starts_with(n.user_uuid, ${users.prefix})`}
          AND (EXISTS (SELECT FROM sessions s WHERE s.id = n.context_id AND s.closed_at IS NULL)
            OR EXISTS (SELECT FROM contexts c WHERE c.id = n.context_id AND c.ended_at IS NULL))
        ORDER BY n.id LIMIT ${limit}`),
  };
}
