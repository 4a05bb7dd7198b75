import type { Execution } from '../../domain/execution.ts';
import { type ExecutionId, parseId } from '../../domain/ids.ts';
import { tenantAsked } from '../access/tenantAsked.ts';
import { type Principal, sees } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { validateMetadata } from '../sessions/validateOptions.ts';
import { validateUserUuid } from '../validate.ts';
import { type ListPage, type PageRequest, readPage } from './page.ts';

export interface ExecutionFilter {
  /** Null or left out: that of the caller. */
  readonly tenant?: string | null | undefined;
  readonly userUuid?: string | null | undefined;
  readonly status?: Execution['status'] | null | undefined;
  /** Requested at this time or later. */
  readonly from?: Date | null | undefined;
  /** Requested before this time. */
  readonly to?: Date | null | undefined;
  /** Only executions of sessions whose metadata have all these pairs. */
  readonly metadata?: unknown;
}

/** The executions of a tenant, the last accepted first. @throws BAD_USER_INPUT; FORBIDDEN for another tenant */
export async function executions(
  { database, config }: Pick<ServiceDeps, 'database' | 'config'>,
  principal: Principal,
  { tenant, userUuid, status, from, to, metadata }: ExecutionFilter,
  request: PageRequest,
): Promise<ListPage<Execution>> {
  const filter = {
    tenant: tenantAsked(principal, tenant, 'the executions'),
    users: principal.users,
    userUuid: userUuid == null ? null : validateUserUuid(userUuid),
    status: status ?? null,
    from: from ?? null,
    to: to ?? null,
    metadata: metadata == null ? null : validateMetadata(metadata, config),
  };
  return await readPage(
    request,
    (cursor) => positionOf(database, principal, cursor),
    (before, limit) => database.queries.executionPage(filter, before, limit),
  );
}

/** A cursor is the id of an execution. A position would reveal how many events all tenants record. */
async function positionOf(
  { queries }: ServiceDeps['database'],
  principal: Principal,
  cursor: string,
): Promise<number | null> {
  const id = parseId<ExecutionId>(cursor);
  const place = id === null ? null : await queries.executionPlace(id);
  return place !== null && sees(principal, place) ? place.position : null;
}
