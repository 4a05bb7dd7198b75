import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { validateUserUuid } from '../validate.ts';
import { type ContextView, viewsOf } from './contextView.ts';

/** The open contexts of the user's open session, the default one first. Empty if there is no open session. */
export async function contexts(
  { database: { queries } }: Pick<ServiceDeps, 'database'>,
  { tenant }: Principal,
  userUuid: string,
): Promise<ContextView[]> {
  const session = await queries.openSession(tenant, validateUserUuid(userUuid));
  if (session === null) return [];
  return viewsOf(session, await queries.openContexts([session.id]));
}
