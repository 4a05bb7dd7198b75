import { type EntityState, fold, type StreamKind } from '../../domain/entities.ts';
import { type RecordedEvent, streamIdOf } from '../../domain/events.ts';
import type { Execution } from '../../domain/execution.ts';
import type { PoolId, SessionId } from '../../domain/ids.ts';
import type { Session } from '../../domain/session.ts';
import type { Worker } from '../../domain/worker.ts';
import type { Client } from '../connection/client.ts';
import { decodeEvent, type EventRow, KNOWN_TYPES } from '../store/eventCodec.ts';
import { type ExecutionRow, toExecution } from './rows.ts';

/**
 * Times in rows come from the gateways' clocks, and the recording times of events from the database's. Rows only narrow
 * down which streams to fold, so their times may be this far off.
 */
const CLOCK_SLACK_MS = 60_000;
/**
 * Only the last session that a user opened before a time can be open at that time. The sessions before it are read
 * because clocks may disagree.
 */
const MAX_CANDIDATES = 3;

/** Past states, folded from the events recorded by a given time (by the database's clock). */
export function createHistoryQueries({ sql, answered }: Client) {
  return {
    /** The session that the user had open at `at`. Null if there was none, or if its events were pruned. */
    sessionAt: async (tenant: string, userUuid: string, at: Date): Promise<Session | null> => {
      const rows = await answered(sql<EventRow[]>`
        SELECT e.* FROM (
          SELECT id FROM sessions
          WHERE tenant = ${tenant} AND user_uuid = ${userUuid} AND opened_at <= ${later(at)}
          ORDER BY opened_at DESC LIMIT ${MAX_CANDIDATES}) s
        JOIN events e ON e.stream_id = 'session-' || s.id
        WHERE e.recorded_at <= ${at} AND e.type = ANY (${[...KNOWN_TYPES]}::text[]) ORDER BY e.position`);
      const sessions = foldAll<Session>(rows);
      return sessions.find(({ closedAt }) => closedAt === null) ?? null;
    },

    /** The workers of the pool that were requested and not yet removed at `at`, in the order of their requests. */
    workersAt: async (poolId: PoolId, at: Date): Promise<Worker[]> => {
      const rows = await answered(sql<EventRow[]>`
        SELECT e.* FROM workers w JOIN events e ON e.stream_id = 'worker-' || w.id
        WHERE w.pool_id = ${poolId} AND w.requested_at <= ${later(at)}
          AND (w.removed_at IS NULL OR w.removed_at >= ${earlier(at)})
          AND e.recorded_at <= ${at} AND e.type = ANY (${[...KNOWN_TYPES]}::text[]) ORDER BY e.position`);
      return foldAll<Worker>(rows).filter(({ state }) => state !== 'REMOVED');
    },

    /** The session's executions that were unfinished at `at` (by the gateways' clocks), in their current state. */
    unfinishedAt: async (sessionId: SessionId, at: Date): Promise<Execution[]> => {
      const rows = await answered(sql<ExecutionRow[]>`
        SELECT * FROM executions x WHERE session_id = ${sessionId} AND requested_at <= ${at}
          AND (finished_at IS NULL OR finished_at > ${at}) ORDER BY requested_position`);
      return rows.map(toExecution);
    },

    /**
     * Like `streamPage`, but only for events of a tenant: each has its number among the events of the tenant as its
     * position. Events that are not sealed yet are left out.
     */
    tenantStreamPage: async (
      tenant: string,
      { kind, id }: { readonly kind: StreamKind; readonly id: string },
      afterVersion: number,
      limit: number,
    ): Promise<RecordedEvent[]> => {
      const rows = await answered(sql<(EventRow & { number: number })[]>`
        SELECT e.*, l.number FROM events e JOIN event_links l ON l.position = e.position AND l.tenant = ${tenant}
        WHERE e.stream_id = ${streamIdOf(kind, id)} AND e.version > ${afterVersion}::bigint
          AND e.type = ANY (${[...KNOWN_TYPES]}::text[])
        ORDER BY e.version LIMIT ${limit}`);
      return rows.map(numbered);
    },

    /** Events of one stream with a version above `afterVersion`, in order; at most `limit`. */
    streamPage: async (
      kind: StreamKind,
      id: string,
      afterVersion: number,
      limit: number,
    ): Promise<RecordedEvent[]> => {
      const rows = await answered(sql<EventRow[]>`
        SELECT * FROM events WHERE stream_id = ${streamIdOf(kind, id)} AND version > ${afterVersion}::bigint
          AND type = ANY (${[...KNOWN_TYPES]}::text[])
        ORDER BY version LIMIT ${limit}`);
      return rows.map(decodeEvent);
    },
  };
}

/** The event with its number in place of its position among all events. */
export function numbered({
  number,
  ...row
}: EventRow & { readonly number: number }): RecordedEvent {
  return { ...decodeEvent(row), position: number };
}

const later = (at: Date) => new Date(at.getTime() + CLOCK_SLACK_MS);
const earlier = (at: Date) => new Date(at.getTime() - CLOCK_SLACK_MS);

/** The states of all streams in these rows, in the order in which the streams began. */
function foldAll<S extends Worker | Session>(rows: readonly EventRow[]): S[] {
  const states = new Map<string, EntityState>();
  for (const { streamKind, streamId, event } of rows.map(decodeEvent))
    states.set(streamId, fold(streamKind, states.get(streamId) ?? null, [event]));
  return [...states.values()] as S[];
}
