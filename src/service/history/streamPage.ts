import type { RecordedEvent } from '../../domain/events.ts';
import type { Queries } from '../../events/queries/createQueries.ts';
import { type ListPage, type PageRequest, parsePosition, readPage } from '../lists/page.ts';

/** The events of one worker or session, in order. @throws BAD_USER_INPUT */
export async function streamPage(
  queries: Queries,
  kind: 'worker' | 'session',
  id: string,
  request: PageRequest,
): Promise<ListPage<RecordedEvent>> {
  return await readPage(request, parsePosition, async (after, limit) => {
    const events = await queries.streamPage(kind, id, after ?? 0, limit);
    return events.map((item) => ({ item, cursor: String(item.version) }));
  });
}
