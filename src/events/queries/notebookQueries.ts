import type { NotebookId } from '../../domain/ids.ts';
import type { Notebook } from '../../domain/notebook.ts';
import type { Users } from '../../domain/users.ts';
import type { Client } from '../connection/client.ts';
import { firstOrNull } from './rows.ts';

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
