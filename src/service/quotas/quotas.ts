/**
 * The quotas in force. For sessions and executions, the commit of a call decides whether a quota refuses the call,
 * because the counts are exact only there. CPU time, output and stored bytes are checked from memory before that.
 */
import type { RecordedEvent } from '../../domain/events.ts';
import {
  type CountedKind,
  evolveQuota,
  type Limits,
  QUOTA_KINDS,
  type Quota,
  QuotaError,
  type QuotaKind,
  type QuotaLimits,
  type QuotaScope,
  quotaOwnerKey,
  USAGE_KINDS,
} from '../../domain/quota.ts';
import type { QueueKey } from '../../events/queries/countQueries.ts';
import type { Queries } from '../../events/queries/createQueries.ts';
import type { Commit, Committed, EventStore } from '../../events/store/eventStore.ts';
import type { SessionOwner } from '../sessions/validateOptions.ts';
import { createRecentRefusals, quotaRefusal, requireOneMore } from './refusals.ts';
import { createDailyUse, createStoredBytes, limitsStored } from './use.ts';

interface QuotasDeps {
  /** The limits from the settings, for each tenant and for each user. */
  readonly defaults: Readonly<Record<QuotaScope, Limits>>;
  /** How many commands of a session run at the same time. */
  readonly maxCommands: number;
  /** How many CPUs a worker may use. */
  readonly workerCpus: number;
  readonly queries: Pick<
    Queries,
    'quotaUse' | 'unfinishedUse' | 'setQuotas' | 'dayUse' | 'storedUse' | 'storedOf'
  >;
  readonly now: () => Date;
  /** A monotonic clock, in milliseconds. */
  readonly clock: () => number;
}

/** One kind of quota of a tenant, or of one of its users. */
export interface QuotaView {
  readonly kind: QuotaKind;
  readonly tenant: string;
  readonly userUuid: string | null;
  /** Null: none. */
  readonly limit: number | null;
  readonly used: number;
}

export interface Quotas {
  /** Must be awaited before the first call. */
  load(): Promise<void>;
  apply(event: RecordedEvent): void;
  /**
   * Commits the opening of a session of this user, or the request of an execution, under the quotas in force. A refusal
   * by a quota is remembered.
   */
  commit(
    store: Pick<EventStore, 'commit'>,
    owner: SessionOwner,
    commit: Omit<Commit, 'quotas'>,
  ): Promise<Committed>;
  /** The lowest limit of this kind for the user. Null: none. @param userUuid null: for the tenant */
  limit(kind: QuotaKind, tenant: string, userUuid: string | null): number | null;
  /** The limit from the settings. Null: none. @param userUuid null: the limit of tenants */
  setting(kind: QuotaKind, userUuid: string | null): number | null;
  /** All kinds, with what is used now. @param userUuid null: the tenant, with all of its users */
  views(tenant: string, userUuid: string | null): Promise<readonly QuotaView[]>;
  /**
   * Checks the quotas before a call waits for a worker, so that a call that will be refused does not wait.
   * @param kinds the call adds one of each of these
   * @throws QuotaError if there is no room now
   */
  requireRoom(owner: SessionOwner, kinds: readonly CountedKind[]): Promise<void>;
  /**
   * Checks the quotas for one more execution, as far as this gateway knows what is used: whether a further execution of
   * this minute was refused, what executions have used today, and how many bytes they have stored. With a limit of
   * stored bytes, the first calls may have to wait until the stored bytes have been read. Running and queued executions
   * are counted only if one was refused a moment ago. Otherwise only the commit counts them.
   * @param queue where the execution would run or wait. Null: it opens a session, for which {@link requireRoom} checks
   * @throws QuotaError if a limit is reached
   */
  requireOneExecution(owner: SessionOwner, queue: QueueKey | null): Promise<void>;
}

export function createQuotas({
  defaults,
  maxCommands,
  workerCpus,
  queries,
  now,
  clock,
}: QuotasDeps): Quotas {
  const inForce = createLimitsInForce(defaults);
  const usage = createDailyUse(queries, workerCpus);
  const stored = createStoredBytes(queries);
  const refusals = createRecentRefusals(clock);
  /** The limits of the user's tenant and of the user, as far as there are any. */
  const limitsOf = ({ tenant, userUuid }: SessionOwner): readonly QuotaLimits[] =>
    inForce.of(tenant, userUuid).filter(({ limits }) => Object.keys(limits).length > 0);

  function requireMinute(owner: QuotaLimits): void {
    const exceeded = refusals.ofMinute(owner);
    if (exceeded !== null) throw new QuotaError(exceeded);
  }

  async function requireUsage(owner: QuotaLimits): Promise<void> {
    const at = now();
    const use = usage.usedBy(owner, at);
    for (const kind of USAGE_KINDS) requireOneMore(kind, owner, use[kind], at);
    if (owner.limits.STORED_BYTES !== undefined)
      requireOneMore('STORED_BYTES', owner, await stored.usedBy(owner), at);
  }

  /** Checks the running and queued executions of one owner, if one of the user's was refused a moment ago. */
  async function requireUnfinished(
    user: SessionOwner,
    owner: QuotaLimits,
    queue: QueueKey,
  ): Promise<void> {
    if (!refusals.isRecent(owner)) return;
    const askedAt = clock();
    const { isLaneFree, ...use } = await queries.unfinishedUse(owner, maxCommands, queue);
    const kind = isLaneFree ? 'RUNNING_EXECUTIONS' : 'QUEUED_EXECUTIONS';
    const refusal = quotaRefusal(kind, owner, use[kind], now());
    if (refusal === null) return;
    refusals.learn(user, refusal.exceeded, askedAt);
    throw refusal;
  }

  return {
    load: async () => {
      const set = await queries.setQuotas();
      inForce.put(set);
      await usage.load();
      if (limitsStored(defaults, set)) stored.prepare();
    },
    apply: (event) => {
      inForce.apply(event);
      usage.apply(event);
      stored.apply(event);
      if (event.event.type === 'QuotaSet' && event.event.data.kind === 'STORED_BYTES')
        stored.prepare();
    },
    commit: async (store, owner, commit) => {
      const of = limitsOf(owner);
      if (of.length === 0) return await store.commit(commit);
      const askedAt = clock();
      try {
        return await store.commit({ ...commit, quotas: { of, maxCommands } });
      } catch (error: unknown) {
        if (error instanceof QuotaError) refusals.learn(owner, error.exceeded, askedAt);
        throw error;
      }
    },
    limit: (kind, tenant, userUuid) => {
      const limits = inForce.of(tenant, userUuid).flatMap((owner) => owner.limits[kind] ?? []);
      return limits.length === 0 ? null : Math.min(...limits);
    },
    setting: (kind, userUuid) => defaults[userUuid === null ? 'TENANT' : 'USER'][kind] ?? null,
    views: async (tenant, userUuid) => {
      const limits = inForce.of(tenant, userUuid).at(-1)?.limits ?? {};
      const owner = { tenant, userUuid };
      const counted = await queries.quotaUse(owner, maxCommands);
      const use: Record<QuotaKind, number> = {
        ...counted,
        ...usage.usedBy(owner, now()),
        STORED_BYTES: await stored.usedBy(owner),
      };
      const view = (kind: QuotaKind): QuotaView => {
        return { kind, tenant, userUuid, limit: limits[kind] ?? null, used: use[kind] };
      };
      return QUOTA_KINDS.map(view);
    },
    requireRoom: async (user, kinds) => {
      for (const owner of limitsOf(user)) {
        const limitedKinds = kinds.filter((kind) => owner.limits[kind] !== undefined);
        if (limitedKinds.length === 0) continue;
        const use = await queries.quotaUse(owner, maxCommands);
        for (const kind of limitedKinds) requireOneMore(kind, owner, use[kind], now());
      }
    },
    requireOneExecution: async (user, queue) => {
      const limited = limitsOf(user);
      for (const owner of limited) requireMinute(owner);
      for (const owner of limited) await requireUsage(owner);
      if (queue !== null) for (const owner of limited) await requireUnfinished(user, owner, queue);
    },
  };
}

// The limits in force, kept in memory, so that a call costs no round trip for them. An event reports each limit that an
// operator sets, at whichever gateway.

interface LimitsInForce {
  /** The limits of the tenant, and those of the user unless `userUuid` is null. */
  of(tenant: string, userUuid: string | null): readonly QuotaLimits[];
  apply(event: RecordedEvent): void;
  /** Adds quotas that were read. A quota that is already known in a newer version stays. */
  put(quotas: readonly Quota[]): void;
}

/** @param defaults the limits from the settings, for each tenant and for each user */
export function createLimitsInForce(defaults: Readonly<Record<QuotaScope, Limits>>): LimitsInForce {
  const byId = new Map<string, Quota>();
  /** By {@link quotaOwnerKey}: the limits that were set for one tenant or user. */
  const own = new Map<string, Map<QuotaKind, number | null>>();
  /** Those limits, together with the defaults. */
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
      // A stream begins again after its owner was forgotten, because forgetting gave the former stream another id.
      if (version === 1) byId.delete(streamId);
      // Each event has the whole state, so a missed event does not matter.
      put({ ...evolveQuota(byId.get(streamId) ?? null, event), version });
    },
    put: (quotas) => {
      for (const quota of quotas) put(quota);
    },
  };
}
