/** The operations on quotas: lists them, and sets one. */
import {
  decideQuota,
  MAX_QUOTA,
  type QuotaCommand,
  type QuotaKind,
  quotaIdOf,
} from '../../domain/quota.ts';
import { commitChanges, decideAndCommit } from '../../events/store/decideAndCommit.ts';
import { actsFor, type Principal, tenantAsked } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { refuse, validateUserUuid, validateWholeNumber, validateWord } from '../validate.ts';
import type { QuotaView } from './quotas.ts';

interface QuotasRequest {
  /** Null or left out: the caller's. */
  readonly tenant?: string | null | undefined;
  /** Null or left out: the tenant, with all of its users. For the holder of a token for one user: that user. */
  readonly userUuid?: string | null | undefined;
}

/**
 * Every kind of quota of a tenant or a user, with its limit and its use. Empty for a user that the principal does not
 * act for.
 * @throws FORBIDDEN for another tenant, unless the caller is an operator; BAD_USER_INPUT
 */
export async function quotas(
  { quotas: inForce }: Pick<ServiceDeps, 'quotas'>,
  principal: Principal,
  request: QuotasRequest,
): Promise<readonly QuotaView[]> {
  const tenant = tenantAsked(principal, request.tenant, 'the quotas');
  const userUuid = userOf(principal, request.userUuid ?? null);
  if (userUuid !== null && !actsFor(principal, userUuid)) return [];
  return await inForce.views(tenant, userUuid);
}

function userOf({ users }: Principal, given: string | null): string | null {
  if (given !== null) return validateUserUuid(given);
  if (users === null) return null;
  if ('uuid' in users) return users.uuid;
  return refuse('userUuid', 'must name one of the users that the token is for', {});
}

interface QuotaRequest {
  readonly kind: QuotaKind;
  /** Null or left out: no limit, whatever the setting says. */
  readonly limit?: number | null | undefined;
  /** True: the setting holds again, and `limit` must be left out. */
  readonly reset?: boolean | null | undefined;
  /** Null or left out: the caller's. */
  readonly tenant?: string | null | undefined;
  /** Null or left out: the tenant, with all of its users. */
  readonly userUuid?: string | null | undefined;
}

/**
 * Sets a limit in place of the setting, or lets the setting hold again. The change holds at a gateway as soon as the
 * gateway has received its event. Existing use stays, even above the limit.
 * @throws BAD_USER_INPUT
 */
export async function setQuota(
  { database, quotas, now }: Pick<ServiceDeps, 'database' | 'quotas' | 'now'>,
  principal: Principal,
  request: QuotaRequest,
): Promise<QuotaView> {
  const { kind } = request;
  const tenant = request.tenant == null ? principal.tenant : validateWord('tenant', request.tenant);
  const userUuid = request.userUuid == null ? null : validateUserUuid(request.userUuid);
  const isReset = request.reset ?? false;
  const limit = validateLimit(request, isReset);
  const quotaId = quotaIdOf(tenant, userUuid, kind);
  const of = { at: now().toISOString(), quotaId, tenant, userUuid, kind };
  const command: QuotaCommand = isReset
    ? { type: 'ResetQuota', ...of }
    : { type: 'SetQuota', ...of, limit };
  await decideAndCommit(database.store, {
    load: () => database.queries.setQuota(quotaId),
    decide: (state) => {
      const events = decideQuota(command, state);
      return commitChanges({ streams: [{ stream: 'quota', id: quotaId, state, events }] });
    },
  });
  const views = await quotas.views(tenant, userUuid);
  const inForce = isReset ? quotas.setting(kind, userUuid) : limit;
  const view = views.find((each) => each.kind === kind);
  return { used: 0, ...view, kind, tenant, userUuid, limit: inForce };
}

function validateLimit({ limit }: QuotaRequest, isReset: boolean): number | null {
  if (isReset && limit != null) refuse('limit', 'must be left out together with reset', {});
  return limit == null ? null : validateWholeNumber('limit', limit, { min: 0, max: MAX_QUOTA });
}
