/**
 * The limits in force, kept in memory, so that a call costs no round trip for them. An event reports each limit that an
 * operator sets, at whichever gateway.
 */
import type { RecordedEvent } from '../../domain/events.ts';
import {
  evolveQuota,
  type Limits,
  type Quota,
  type QuotaKind,
  type QuotaLimits,
  type QuotaScope,
  quotaOwnerKey,
} from '../../domain/quota.ts';

export interface LimitsInForce {
  /** The limits of the tenant, and those of the user. */
  of(tenant: string, userUuid: string | null): readonly QuotaLimits[];
  apply(event: RecordedEvent): void;
  /** Adds quotas that were read. A newer version of a quota that is known already stays. */
  put(quotas: readonly Quota[]): void;
}

/** @param defaults the limits from the settings, for each tenant and for each user */
export function createLimitsInForce(defaults: Readonly<Record<QuotaScope, Limits>>): LimitsInForce {
  const byId = new Map<string, Quota>();
  /** By {@link quotaOwnerKey}: what was set for one tenant or user. */
  const own = new Map<string, Map<QuotaKind, number | null>>();
  /** The same together with the defaults. */
  const inForce = new Map<string, Limits>();

  function put(quota: Quota): void {
    if ((byId.get(quota.id)?.version ?? 0) >= quota.version) return;
    byId.set(quota.id, quota);
    const { userUuid, kind, maximum, isSet } = quota;
    const key = quotaOwnerKey(quota);
    const set = own.get(key) ?? new Map<QuotaKind, number | null>();
    own.set(key, set);
    if (isSet) set.set(kind, maximum);
    else set.delete(kind);
    const all = { ...defaultsOf(userUuid), ...Object.fromEntries(set) };
    const limits = Object.entries(all).filter(([, limit]) => limit !== null);
    inForce.set(key, Object.fromEntries(limits));
  }

  const defaultsOf = (userUuid: string | null) => defaults[userUuid === null ? 'TENANT' : 'USER'];

  const limitsOf = (tenant: string, userUuid: string | null): QuotaLimits => ({
    tenant,
    userUuid,
    limits: inForce.get(quotaOwnerKey({ tenant, userUuid })) ?? defaultsOf(userUuid),
  });

  return {
    of: (tenant, userUuid) => {
      const ofTenant = limitsOf(tenant, null);
      return userUuid === null ? [ofTenant] : [ofTenant, limitsOf(tenant, userUuid)];
    },
    apply: ({ streamId, version, event }) => {
      if (event.type !== 'QuotaSet' && event.type !== 'QuotaReset') return;
      // If its owner was forgotten, a stream begins again: the former stream now has another id.
      if (version === 1) byId.delete(streamId);
      // Each event has the whole state, so a missed event does not matter.
      put({ ...evolveQuota(byId.get(streamId) ?? null, event), version });
    },
    put: (quotas) => {
      for (const quota of quotas) put(quota);
    },
  };
}
