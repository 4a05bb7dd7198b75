/** Quotas: how much a tenant, or one of its users, may use. */
import { DomainError } from './errors.ts';

/** What is limited. Each is counted over all gateways. */
export const QUOTA_KINDS = [
  'OPEN_SESSIONS',
  'QUEUED_EXECUTIONS',
  'RUNNING_EXECUTIONS',
  'EXECUTIONS_PER_MINUTE',
] as const;

export type QuotaKind = (typeof QUOTA_KINDS)[number];

/** Whose use is counted: a tenant's, with all of its users, or one user's. */
export const QUOTA_SCOPES = ['TENANT', 'USER'] as const;

export type QuotaScope = (typeof QUOTA_SCOPES)[number];

/** Limits by kind. A kind that is left out has none. */
export type Limits = { readonly [Kind in QuotaKind]?: number };

/** The limits in force for a tenant, or for one of its users. */
export interface QuotaLimits {
  readonly tenant: string;
  /** Null: all users of the tenant together. */
  readonly userUuid: string | null;
  readonly limits: Limits;
}

/** Why a call is refused. */
export interface ExceededQuota {
  readonly kind: QuotaKind;
  readonly scope: QuotaScope;
  readonly limit: number;
  /** How much is used without the call. */
  readonly used: number;
  readonly retryAfterMs: number;
  /** When the quota is free again (ISO 8601). Null: when something of the tenant or user has ended. */
  readonly until: string | null;
}

const WORDS: Readonly<Record<QuotaKind, string>> = {
  OPEN_SESSIONS: 'open sessions',
  QUEUED_EXECUTIONS: 'queued executions',
  RUNNING_EXECUTIONS: 'running executions',
  EXECUTIONS_PER_MINUTE: 'executions in a minute',
};

/** The refusal that a caller gets. Nothing was recorded. */
export class QuotaError extends DomainError {
  constructor({ kind, ...facts }: ExceededQuota, options?: ErrorOptions) {
    const { scope, limit, until } = facts;
    const whose = scope === 'TENANT' ? 'The tenant' : 'The user';
    const when = until === null ? 'Wait until one has ended.' : `Wait until ${until}.`;
    super(
      'QUOTA_EXCEEDED',
      `${whose} may have ${limit} ${WORDS[kind]}, and this call would be one more. Nothing was recorded. ${when}`,
      { quota: kind, ...facts },
      options,
    );
    this.name = 'QuotaError';
  }
}
