import type { Session } from '../../domain/session.ts';
import { both, type Users } from '../../domain/users.ts';
import { tenantAsked } from '../access/tenantAsked.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { validateMetadata } from '../sessions/validateOptions.ts';
import { validateUserUuid } from '../validate.ts';
import { type ListPage, type PageRequest, parseIdCursor, readPage } from './page.ts';

export interface SessionFilter {
  /** Null or left out: that of the caller. */
  readonly tenant?: string | null | undefined;
  readonly userUuid?: string | null | undefined;
  /** Only sessions of these users. */
  readonly users?: Users | null | undefined;
  readonly isOpen?: boolean | null | undefined;
  /** Only sessions that were opened at this time or later. */
  readonly from?: Date | null | undefined;
  /** Only sessions with the environment of this name. If the name is null: only sessions without an environment. */
  readonly environment?: { readonly name: string | null } | null | undefined;
  /** Only sessions whose metadata have all these pairs. */
  readonly metadata?: unknown;
  /** Whether the first opened come first. Left out: the last opened do. */
  readonly oldestFirst?: boolean | null | undefined;
}

/**
 * The sessions of a tenant, the last opened first unless the filter says otherwise. A cursor is valid in either order
 * and with any filter.
 * @throws BAD_USER_INPUT; FORBIDDEN for another tenant
 */
export async function sessions(
  { database, config }: Pick<ServiceDeps, 'database' | 'config'>,
  principal: Principal,
  { tenant, userUuid, users: asked, isOpen, metadata, oldestFirst, ...filter }: SessionFilter,
  request: PageRequest,
): Promise<ListPage<Session>> {
  const own = principal.users;
  const users = own === null || asked == null ? (own ?? asked ?? null) : both(own, asked);
  const isNobody = users === null && own !== null;
  const wanted = {
    tenant: tenantAsked(principal, tenant, 'the sessions'),
    users,
    userUuid: userUuid == null ? null : validateUserUuid(userUuid),
    isOpen: isOpen ?? null,
    from: filter.from ?? null,
    environment: filter.environment ?? null,
    metadata: metadata == null ? null : validateMetadata(metadata, config),
  };
  return await readPage(request, parseIdCursor, async (after, limit) => {
    if (isNobody) return [];
    const range = { isOldestFirst: oldestFirst ?? false, after, limit };
    return await database.queries.sessionPage(wanted, range);
  });
}
