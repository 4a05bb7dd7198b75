import { redactedData } from '../../../domain/redactedEvents.ts';
import type { OneConnection } from '../../connection/oneConnection.ts';
import { forgetEvents, type StoredEvent } from './forgetEvents.ts';
import type { Forgetting, Forgotten } from './forgetting.ts';
import { nameOf } from './pseudonyms.ts';

/**
 * Forgets the earlier events of notebooks that were moved to the context of another user. Such a notebook belongs to
 * the other user from then on, but its earlier events still contain the former user's id and names. Its row contains
 * nothing of the former user, because each event replaces all facts.
 */
export async function forgetFormerNotebooks(
  connection: OneConnection,
  forgetting: Forgetting,
): Promise<Forgotten> {
  const { sealed } = forgetting;
  const { tenant, userUuid } = forgetting.owner;
  return await forgetEvents(connection, forgetting, {
    after: (sql, position, limit) => sql<StoredEvent[]>`
      SELECT e.position, e.stream_id, e.type, e.data, e.metadata
      FROM notebooks n JOIN events e ON e.stream_id = 'notebook-' || n.id
      WHERE n.tenant = ${tenant} AND n.user_uuid <> ${userUuid} AND e.data ->> 'userUuid' = ${userUuid}
        AND e.position > ${position} AND e.position <= ${sealed}
      ORDER BY e.position LIMIT ${limit}`,
    left: ({ position, type, data, metadata }, { users }) => {
      const names = { tenant, userUuid: nameOf(users, userUuid ?? ''), id: '' };
      return { position, stream_id: null, data: redactedData(type, data, names), metadata };
    },
  });
}
