import { parseStreamId, streamIdOf } from '../../domain/events.ts';
import type { ExecutionId, SessionId, WorkerId } from '../../domain/ids.ts';
import type { Finish, Output, OutputItem, OutputPage } from '../../domain/output.ts';
import type { Session } from '../../domain/session.ts';
import type { Worker } from '../../domain/worker.ts';
import type { Client } from '../connection/client.ts';
import type { FreshOutputs } from '../outputs/freshOutputs.ts';
import { decodeJson } from '../store/jsonText.ts';

/** An output of the `nth` page. If its seq is null, the page does not fit within the limit. */
type PageRow = { readonly nth: number } & (
  | (Omit<OutputItem, 'output'> & { readonly body: Output | Finish })
  | { readonly seq: null }
);

/** Queries that look up many ids in one read. Unless a query says otherwise, its result has no order. */
export function createManyQueries(client: Client, freshOutputs: FreshOutputs) {
  return { ...ofEntities(client), ...ofOutputs(client, freshOutputs) };
}

function ofEntities({ sql, answered }: Client) {
  return {
    sessions: async (ids: readonly SessionId[]): Promise<Session[]> =>
      await answered(sql<Session[]>`SELECT * FROM sessions WHERE id = ANY (${[...ids]}::uuid[])`),

    workers: async (ids: readonly WorkerId[]): Promise<Worker[]> =>
      await answered(sql<Worker[]>`SELECT * FROM workers WHERE id = ANY (${[...ids]}::uuid[])`),

    /**
     * When an execution of the session was last requested or finished, or when the open session was last used in
     * another way. Null if it had no use.
     */
    lastActivity: async (
      ids: readonly SessionId[],
    ): Promise<ReadonlyMap<SessionId, Date | null>> => {
      // The end of a finished execution is later than its request. So requests matter for unfinished executions only, and
      // for commands that do not keep their session alive.
      const rows = await answered(sql<{ id: SessionId; at: Date | null }[]>`
        SELECT s.id, greatest(
          (SELECT max(finished_at) FROM executions WHERE session_id = s.id AND keeps_alive),
          (SELECT max(requested_at) FROM executions
            WHERE session_id = s.id AND (finished_at IS NULL OR NOT keeps_alive)),
          (SELECT used_at FROM session_uses WHERE session_id = s.id)
        ) AS at FROM unnest(${[...ids]}::uuid[]) s (id)`);
      return new Map(rows.map(({ id, at }) => [id, at]));
    },

    /**
     * The exact code of each execution. Codes are given in the order of `ids` up to `maxBytes` of UTF-8 together;
     * beyond that, the code is null. An execution whose events were pruned is left out.
     */
    codes: async (
      ids: readonly ExecutionId[],
      maxBytes: number,
    ): Promise<ReadonlyMap<ExecutionId, string | null>> => {
      const rows = await answered(sql<{ id: ExecutionId; isWhole: boolean; code: unknown }[]>`
        WITH sized AS (
          SELECT x.id, sum(x.code_bytes) OVER (ORDER BY asked.nth) <= ${maxBytes} AS is_whole
          FROM unnest(${[...ids]}::uuid[]) WITH ORDINALITY asked (id, nth) JOIN executions x ON x.id = asked.id
        )
        SELECT s.id, s.is_whole, CASE WHEN s.is_whole THEN e.data -> 'code' END AS code FROM sized s
        JOIN events e ON e.stream_id = 'execution-' || s.id AND e.version = 1`);
      return new Map(
        rows.map(({ id, isWhole, code }) => [id, isWhole ? String(decodeJson(code)) : null]),
      );
    },

    /**
     * The protocol through which each execution was requested. Null if its event names no actor. An execution whose
     * events were pruned is left out.
     */
    doors: async (ids: readonly ExecutionId[]): Promise<ReadonlyMap<string, string | null>> => {
      const streams = ids.map((id) => streamIdOf('execution', id));
      const rows = await answered(sql<{ streamId: string; door: string | null }[]>`
        SELECT stream_id, metadata -> 'actor' ->> 'door' AS door FROM events
        WHERE stream_id = ANY (${streams}::text[]) AND version = 1`);
      return new Map(rows.map(({ streamId, door }) => [parseStreamId(streamId).id, door]));
    },
  };
}

function ofOutputs({ sql, answered }: Client, freshOutputs: FreshOutputs) {
  return {
    /**
     * The outputs of each page, in the order of `pages`: together at most `maxBytes` of stored JSON bodies (UTF-8). A
     * page that does not fit into the remaining bytes is null as a whole.
     */
    outputPages: async (
      pages: readonly OutputPage[],
      maxBytes: number,
    ): Promise<(readonly OutputItem[] | null)[]> => {
      const fresh = freshOutputs.pages(pages, maxBytes);
      if (fresh !== null) return fresh;
      // Sizes are read first, and bodies only for the result: a body can be megabytes.
      const rows = await answered(sql<PageRow[]>`
        WITH sized AS (
          SELECT asked.nth, page.execution_id, page.seq,
            row_number() OVER (PARTITION BY asked.nth ORDER BY page.seq) AS nth_of_page,
            sum(page.bytes) OVER (ORDER BY asked.nth, page.seq) AS bytes_until
          FROM unnest(${pages.map(({ executionId }) => executionId)}::uuid[], ${pages.map(({ after }) => after)}::bigint[],
            ${pages.map(({ limit }) => limit)}::bigint[]) WITH ORDINALITY asked (id, after, "limit", nth),
          LATERAL (
            SELECT execution_id, seq, bytes FROM output_events
            WHERE execution_id = asked.id AND seq > asked.after ORDER BY seq LIMIT asked."limit"
          ) page
        ), judged AS (
          SELECT *, max(bytes_until) OVER (PARTITION BY nth) <= ${maxBytes} AS is_whole FROM sized
        )
        SELECT j.nth, o.execution_id, o.seq, o.at, o.body FROM judged j
        LEFT JOIN output_events o ON j.is_whole AND o.execution_id = j.execution_id AND o.seq = j.seq
        WHERE j.is_whole OR j.nth_of_page = 1 ORDER BY j.nth, j.seq`);
      const items: (OutputItem[] | null)[] = pages.map(() => []);
      for (const row of rows) {
        const index = row.nth - 1;
        if (row.seq === null) items[index] = null;
        else {
          const { executionId, seq, at, body } = row;
          items[index]?.push({ executionId, seq, at, output: body });
        }
      }
      return items;
    },
  };
}
