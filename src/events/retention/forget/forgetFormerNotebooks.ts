import { redactedData } from '../../../domain/redactedEvents.ts';
import type { OneConnection } from '../../connection/oneConnection.ts';
import { forgetEvents, type StoredEvent } from './forgetEvents.ts';
import type { Forgetting, Forgotten } from './forgetting.ts';
import { nameOf } from './pseudonyms.ts';

/**
 * A notebook that is moved to the context of another user is theirs from then on. Its events before that are still of the
 * former user, with what they called it. The row has nothing of them: each of these events has all of the facts.
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
