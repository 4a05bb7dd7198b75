import type { Session } from '../../domain/session.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { validateMetadata } from '../sessions/validateOptions.ts';
import { validateUserUuid } from '../validate.ts';
import { type ListPage, type PageRequest, parseIdCursor, readPage } from './page.ts';

export interface SessionFilter {
  readonly userUuid?: string | null | undefined;
  readonly isOpen?: boolean | null | undefined;
  /** Only sessions whose metadata have all these pairs. */
  readonly metadata?: unknown;
}

/** The sessions of the tenant, the last opened first. @throws BAD_USER_INPUT */
export async function sessions(
  { database, config }: Pick<ServiceDeps, 'database' | 'config'>,
  { tenant, users }: Principal,
  { userUuid, isOpen, metadata }: SessionFilter,
  request: PageRequest,
): Promise<ListPage<Session>> {
  const filter = {
    tenant,
    users,
    userUuid: userUuid == null ? null : validateUserUuid(userUuid),
    isOpen: isOpen ?? null,
    metadata: metadata == null ? null : validateMetadata(metadata, config),
  };
  return await readPage(request, parseIdCursor, (before, limit) =>
    database.queries.sessionPage(filter, before, limit),
  );
}
