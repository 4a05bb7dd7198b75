import { decideQuota, MAX_QUOTA, type QuotaKind, quotaIdOf } from '../../domain/quota.ts';
import { commitChanges, decideAndCommit } from '../../events/store/decideAndCommit.ts';
import { validateWord } from '../access/validateToken.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { validateUserUuid, validateWholeNumber } from '../validate.ts';
import type { QuotaView } from './quotas.ts';

export interface QuotaRequest {
  readonly kind: QuotaKind;
  /** Null or left out: no limit, whatever the setting says. */
  readonly limit?: number | null | undefined;
  /** Null or left out: the caller's. */
  readonly tenant?: string | null | undefined;
  /** Null or left out: the tenant, with all of its users. */
  readonly userUuid?: string | null | undefined;
}

/**
 * Sets a limit in place of the setting. It holds at every gateway when its event is heard there. What is used already
 * stays, even above the limit.
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
  const limit = validateLimit(request.limit);
  // Gateways of the former release would exceed it.
  await database.firstUse.allow('quotas');
  const quotaId = quotaIdOf(tenant, userUuid, kind);
  const command = {
    type: 'SetQuota',
    at: now().toISOString(),
    quotaId,
    tenant,
    userUuid,
    kind,
    limit,
  } as const;
  await decideAndCommit(database.store, {
    load: () => database.queries.setQuota(quotaId),
    decide: (state) => {
      const events = decideQuota(command, state);
      return commitChanges({ streams: [{ stream: 'quota', id: quotaId, state, events }] });
    },
  });
  const views = await quotas.views(tenant, userUuid);
  return { used: 0, ...views.find((view) => view.kind === kind), kind, tenant, userUuid, limit };
}

function validateLimit(limit: number | null | undefined): number | null {
  return limit == null ? null : validateWholeNumber('limit', limit, { min: 0, max: MAX_QUOTA });
}
