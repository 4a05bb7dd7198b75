import type { RecordedEvent } from '../../domain/events.ts';
import { parseId, type SessionId } from '../../domain/ids.ts';
import type { ListPage, PageRequest } from '../lists/page.ts';
import { type Principal, sees } from '../principal.ts';
import { type StreamPageDeps, streamPage } from './streamPage.ts';

/**
 * The events of a session. Null if there is no such session, or if the principal does not see it.
 * @throws BAD_USER_INPUT; POOL_INITIALIZING
 */
export async function sessionEvents(
  deps: StreamPageDeps,
  principal: Principal,
  sessionId: string,
  request: PageRequest,
): Promise<ListPage<RecordedEvent> | null> {
  const id = parseId<SessionId>(sessionId);
  const session = id === null ? null : await deps.database.queries.session(id);
  if (!session || !sees(principal, session)) return null;
  return await streamPage(deps, principal, { kind: 'session', id: session.id }, request);
}
