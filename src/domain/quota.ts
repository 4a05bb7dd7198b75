/**
 * Quotas: how much a tenant, or one of its users, may use. For each kind, a setting holds for all tenants and users. An
 * operator can set a quota for a single tenant or user, which replaces the setting. Each such quota has a stream of its
 * own:
 *
 * ```
 *  (none) --set--> SET --set--> SET
 *  SET --reset--> RESET --set--> SET
 * ```
 * After a reset, the setting holds again.
 */
import { hash } from 'node:crypto';
import type { Event } from './decider.ts';
import { DomainError } from './errors.ts';
import type { QuotaId } from './ids.ts';
import { userKey } from './session.ts';

/** Kinds that the database counts, over all gateways, in the commit that opens a session or accepts an execution. */
const COUNTED_KINDS = [
  'OPEN_SESSIONS',
  'QUEUED_EXECUTIONS',
  'RUNNING_EXECUTIONS',
  'EXECUTIONS_PER_MINUTE',
] as const;

/** Kinds whose use is known only when an execution has ended. */
export const USAGE_KINDS = ['CPU_SECONDS_PER_DAY', 'OUTPUT_BYTES_PER_DAY'] as const;

/** All kinds of quotas. STORED_BYTES is the sum of what is stored now. */
export const QUOTA_KINDS = [...COUNTED_KINDS, ...USAGE_KINDS, 'STORED_BYTES'] as const;

export type CountedKind = (typeof COUNTED_KINDS)[number];
export type UsageKind = (typeof USAGE_KINDS)[number];
export type QuotaKind = (typeof QUOTA_KINDS)[number];

/** The highest limit. No installation uses as much of anything. */
export const MAX_QUOTA = 1_000_000_000_000_000;

/** The tenant or user whose use is counted. */
export interface QuotaOwner {
  readonly tenant: string;
  /** Null: all users of the tenant together. */
  readonly userUuid: string | null;
}

/** A key that identifies an owner. In a tenant's key, the user's name is empty, which no real name is. */
export function quotaOwnerKey({ tenant, userUuid }: QuotaOwner): string {
  return userKey(tenant, userUuid ?? '');
}

/** Whose use is counted: a tenant's, with all of its users, or one user's. */
export const QUOTA_SCOPES = ['TENANT', 'USER'] as const;

export type QuotaScope = (typeof QUOTA_SCOPES)[number];

/** What identifies a quota. */
interface QuotaName {
  quotaId: QuotaId;
  tenant: string;
  /** Null: all users of the tenant together. */
  userUuid: string | null;
  kind: QuotaKind;
}

export type QuotaEvent =
  | Event<
      'QuotaSet',
      QuotaName & {
        /** Null: no limit, whatever the setting says. */
        limit: number | null;
      }
    >
  /** The setting holds again. */
  | Event<'QuotaReset', QuotaName>;

/** The state that a quota's events fold into, which is also its row. `version` is that of its stream. */
export interface Quota {
  readonly id: QuotaId;
  readonly version: number;
  readonly tenant: string;
  readonly userUuid: string | null;
  readonly kind: QuotaKind;
  /** Null: no limit. Also null after a reset (see `isSet`). */
  readonly maximum: number | null;
  /** False: the setting holds. */
  readonly isSet: boolean;
  readonly setAt: Date;
}

type DataOf<T extends QuotaEvent['type']> = Extract<QuotaEvent, { type: T }>['data'];

export type QuotaCommand =
  | ({ readonly type: 'SetQuota' } & DataOf<'QuotaSet'>)
  | ({ readonly type: 'ResetQuota' } & DataOf<'QuotaReset'>);

/** The events that a command on a quota records. Pure. Empty if the quota is in the wanted state already. */
export function decideQuota(command: QuotaCommand, quota: Quota | null): QuotaEvent[] {
  const isSet = quota?.isSet ?? false;
  if (command.type === 'ResetQuota') {
    const { type: _, ...data } = command;
    return isSet ? [{ type: 'QuotaReset', data }] : [];
  }
  const { type: _, ...data } = command;
  return isSet && quota?.maximum === data.limit ? [] : [{ type: 'QuotaSet', data }];
}

/** The quota after `event`. Pure. It accepts every recorded event, because each one contains the whole state. */
export function evolveQuota(state: Quota | null, { type, data }: QuotaEvent): Quota {
  const { quotaId: id, tenant, userUuid, kind, at } = data;
  const version = (state?.version ?? 0) + 1;
  const isSet = type === 'QuotaSet';
  const maximum = isSet ? data.limit : null;
  return { id, version, tenant, userUuid, kind, maximum, isSet, setAt: new Date(at) };
}

/**
 * The id of the quota of an owner and kind, a UUID of version 8. It is computed from them, so that there is only one
 * such quota.
 */
export function quotaIdOf(tenant: string, userUuid: string | null, kind: QuotaKind): QuotaId {
  const hex = hash('sha256', JSON.stringify([tenant, userUuid, kind]), 'hex');
  const parts = [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `a${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ];
  return parts.join('-') as QuotaId;
}

/** Limits by kind. A kind that is left out has no limit. */
export type Limits = { readonly [Kind in QuotaKind]?: number };

/** The limits in force for a tenant, or for one of its users. */
export interface QuotaLimits extends QuotaOwner {
  readonly limits: Limits;
}

/** Why a call is refused. */
export interface ExceededQuota {
  readonly kind: QuotaKind;
  readonly scope: QuotaScope;
  readonly limit: number;
  /** How much is used without the call. */
  readonly used: number;
  /** Null if waiting alone frees nothing. */
  readonly retryAfterMs: number | null;
  /**
   * When the quota is free again (ISO 8601). Null if no time is known: a session or execution must end first, a queued
   * execution must begin, or, for STORED_BYTES, something must be deleted.
   */
  readonly until: string | null;
}

/** The unit of each kind, as it follows a number in a message. */
export const QUOTA_WORDS: Readonly<Record<QuotaKind, string>> = {
  OPEN_SESSIONS: 'open sessions',
  QUEUED_EXECUTIONS: 'queued executions',
  RUNNING_EXECUTIONS: 'running executions',
  EXECUTIONS_PER_MINUTE: 'executions in a minute of the clock',
  CPU_SECONDS_PER_DAY: 'seconds of CPU time in a day (UTC)',
  OUTPUT_BYTES_PER_DAY: 'bytes of output in a day (UTC)',
  STORED_BYTES: 'bytes of code, input and output stored',
};

/** The refusal that a caller gets. Nothing was recorded. */
export class QuotaError extends DomainError {
  readonly exceeded: ExceededQuota;

  constructor(exceeded: ExceededQuota, options?: ErrorOptions) {
    const { kind, ...counted } = exceeded;
    const { scope, limit } = counted;
    // No wait helps against a limit of 0.
    const facts = limit === 0 ? { ...counted, retryAfterMs: null, until: null } : counted;
    const whose = scope === 'TENANT' ? 'The tenant' : 'The user';
    const isCounted = COUNTED_KINDS.some((counted) => counted === kind);
    const what = isCounted ? 'this call would be one more' : 'all of that is used';
    super(
      'QUOTA_EXCEEDED',
      `${whose} may have ${limit} ${QUOTA_WORDS[kind]}, and ${what}. Nothing was recorded. ${whatFrees(kind, facts)}`,
      { quota: kind, ...facts },
      options,
    );
    this.name = 'QuotaError';
    this.exceeded = exceeded;
  }
}

function whatFrees(
  kind: QuotaKind,
  { limit, until }: Pick<ExceededQuota, 'limit' | 'until'>,
): string {
  if (limit === 0) return 'Only an operator can raise the limit.';
  if (kind === 'STORED_BYTES') return 'Only an operator frees some, with `cellhouse prune`.';
  if (until !== null) return `Wait until ${until}.`;
  return `Wait until one has ${kind === 'QUEUED_EXECUTIONS' ? 'begun or ended' : 'ended'}.`;
}
