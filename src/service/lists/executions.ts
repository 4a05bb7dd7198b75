import type { Execution } from '../../domain/execution.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { validateMetadata } from '../sessions/validateOptions.ts';
import { validateUserUuid } from '../validate.ts';
import { type ListPage, type PageRequest, parsePosition, readPage } from './page.ts';

export interface ExecutionFilter {
  readonly userUuid?: string | null | undefined;
  readonly status?: Execution['status'] | null | undefined;
  /** Requested at this time or later. */
  readonly from?: Date | null | undefined;
  /** Requested before this time. */
  readonly to?: Date | null | undefined;
  /** Only executions of sessions whose metadata have all these pairs. */
  readonly metadata?: unknown;
}

/** The executions of the tenant, the last accepted first. @throws BAD_USER_INPUT */
export async function executions(
  { database, config }: Pick<ServiceDeps, 'database' | 'config'>,
  { tenant, users }: Principal,
  { userUuid, status, from, to, metadata }: ExecutionFilter,
  request: PageRequest,
): Promise<ListPage<Execution>> {
  const filter = {
    tenant,
    users,
    userUuid: userUuid == null ? null : validateUserUuid(userUuid),
    status: status ?? null,
    from: from ?? null,
    to: to ?? null,
    metadata: metadata == null ? null : validateMetadata(metadata, config),
  };
  return await readPage(request, parsePosition, (before, limit) =>
    database.queries.executionPage(filter, before, limit),
  );
}
