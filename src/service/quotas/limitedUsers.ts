/** A cache of the limits of each user: each call asks for them several times, and they seldom change. */
import { BoundedMap } from '../../domain/boundedMap.ts';
import { type Limits, type QuotaLimits, quotaOwnerKey } from '../../domain/quota.ts';
import type { CommitQuotas } from '../../events/store/eventStore.ts';
import type { SessionOwner } from '../sessions/validateOptions.ts';
import type { LimitsInForce } from './limitsInForce.ts';

/** How many users are remembered. */
const MAX_KEPT = 10_000;

export interface LimitedUsers {
  /** The limits of the user's tenant and of the user, as far as there are any. */
  of(user: SessionOwner): readonly QuotaLimits[];
  /** The same limits, as the argument of a commit. Null: there are none. */
  quotasOf(user: SessionOwner): CommitQuotas | null;
  /** Must be called when limits have changed. */
  forget(): void;
}

/** @param maxCommands how many commands of a session run at the same time */
export function createLimitedUsers(inForce: LimitsInForce, maxCommands: number): LimitedUsers {
  const kept = new BoundedMap<string, CommitQuotas>(MAX_KEPT);

  function quotasOf(user: SessionOwner): CommitQuotas {
    const key = quotaOwnerKey(user);
    const known = kept.get(key);
    if (known) return known;
    const of = inForce.of(user.tenant, user.userUuid).filter(({ limits }) => !isEmpty(limits));
    const quotas = { of, maxCommands };
    kept.set(key, quotas);
    return quotas;
  }

  return {
    of: (user) => quotasOf(user).of,
    quotasOf: (user) => {
      const quotas = quotasOf(user);
      return quotas.of.length === 0 ? null : quotas;
    },
    forget: () => kept.clear(),
  };
}

function isEmpty(limits: Limits): boolean {
  return Object.keys(limits).length === 0;
}
