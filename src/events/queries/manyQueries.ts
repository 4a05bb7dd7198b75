import type { ExecutionId, SessionId } from '../../ids.ts';
import type { Finish, Output } from '../../output.ts';
import type { Client } from '../client.ts';
import type { OutputItem } from '../eventStore.ts';
import { decodeJson } from '../jsonText.ts';
import type { Session, Worker } from '../states.ts';
import type { ManyQueries } from './queries.ts';

type OutputRow = Omit<OutputItem, 'output'> & { readonly body: Output | Finish };

export function createManyQueries({ sql, answered }: Client): ManyQueries {
  return {
    sessions: async (ids) =>
      await answered(sql<Session[]>`SELECT * FROM sessions WHERE id = ANY (${[...ids]}::uuid[])`),

    workers: async (ids) =>
      await answered(sql<Worker[]>`SELECT * FROM workers WHERE id = ANY (${[...ids]}::uuid[])`),

    lastActivity: async (ids) => {
      // A finished execution ended after it was requested; an unfinished one has only its request.
      const rows = await answered(sql<{ id: SessionId; at: Date | null }[]>`
        SELECT s.id, greatest(
          (SELECT max(finished_at) FROM executions WHERE session_id = s.id),
          (SELECT max(requested_at) FROM executions WHERE session_id = s.id AND finished_at IS NULL)
        ) AS at FROM unnest(${[...ids]}::uuid[]) s (id)`);
      return new Map(rows.map(({ id, at }) => [id, at]));
    },

    codes: async (ids) => {
      const rows = await answered(sql<{ id: ExecutionId; code: unknown }[]>`
        SELECT x.id, e.data -> 'code' AS code FROM unnest(${[...ids]}::uuid[]) x (id)
        JOIN events e ON e.stream_id = 'execution-' || x.id AND e.version = 1`);
      return new Map(rows.map(({ id, code }) => [id, String(decodeJson(code))]));
    },

    allOutputs: async (ids, maxBytes) => {
      // Sizes first, bodies only of what is given: a body can be megabytes.
      const rows = await answered(sql<OutputRow[]>`
        WITH sized AS (
          SELECT execution_id, seq, sum(bytes) OVER (ORDER BY execution_id, seq) - bytes AS bytes_before
          FROM output_events WHERE execution_id = ANY (${[...ids]}::uuid[])
        )
        SELECT o.execution_id, o.seq, o.at, o.body FROM sized s
        JOIN output_events o ON o.execution_id = s.execution_id AND o.seq = s.seq
        WHERE s.bytes_before < ${maxBytes} ORDER BY o.execution_id, o.seq`);
      const items = new Map<ExecutionId, OutputItem[]>(ids.map((id) => [id, []]));
      for (const { executionId, seq, at, body } of rows)
        items.get(executionId)?.push({ executionId, seq, at, output: body });
      return items;
    },
  };
}
