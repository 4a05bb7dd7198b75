import type { Session } from '../../domain/session.ts';
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
  readonly isOpen?: boolean | null | undefined;
  /** Only sessions whose metadata have all these pairs. */
  readonly metadata?: unknown;
}

/** The sessions of a tenant, the last opened first. @throws BAD_USER_INPUT; FORBIDDEN for another tenant */
export async function sessions(
  { database, config }: Pick<ServiceDeps, 'database' | 'config'>,
  principal: Principal,
  { tenant, userUuid, isOpen, metadata }: SessionFilter,
  request: PageRequest,
): Promise<ListPage<Session>> {
  const filter = {
    tenant: tenantAsked(principal, tenant, 'the sessions'),
    users: principal.users,
    userUuid: userUuid == null ? null : validateUserUuid(userUuid),
    isOpen: isOpen ?? null,
    metadata: metadata == null ? null : validateMetadata(metadata, config),
  };
  return await readPage(request, parseIdCursor, (before, limit) =>
    database.queries.sessionPage(filter, before, limit),
  );
}
