/** What doctor says of decisions that only an operator can take: which hosts code may reach, and how much users may use. */
import type { Config } from '../config/config.ts';
import { quotaDefaults } from '../config/quotas.ts';
import { type Finding, ok, unknown, warning } from './finding.ts';

/** Pure. */
export function judgeEgress({ egressAllow }: Pick<Config, 'egressAllow'>): Finding {
  if (egressAllow.length === 0) return ok('egress', 'Code has no network.');
  const isEverything = egressAllow.some(({ host }) => host.kind === 'suffix' && host.end === '');
  return isEverything
    ? warning('egressEverywhere')
    : ok(
        'egress',
        `Code may reach only what the ${egressAllow.length} rules of EGRESS_ALLOW name.`,
      );
}

/** Who uses an installation, and whether operators have limited anybody. */
export interface Tenancy {
  /** How many tenants have tokens that are not revoked. */
  readonly tenants: number;
  /** How many quotas operators have set by a call. */
  readonly setQuotas: number;
}

/** Pure. Where all tokens are of one tenant, the operator may be the only user. @param tenancy null: nobody knows */
export function judgeQuotas(config: Config, tenancy: Tenancy | null): Finding {
  if (tenancy === null) return unknown('quotas', 'Not checked, because the database does not say.');
  const { TENANT, USER } = quotaDefaults(config);
  const defaults = Object.keys(TENANT).length + Object.keys(USER).length;
  const { tenants, setQuotas } = tenancy;
  if (defaults + setQuotas === 0 && tenants > 1) return warning('quotasNone', tenants);
  return ok(
    'quotas',
    `Tenants with tokens: ${tenants}. Quotas: ${defaults} by settings, ${setQuotas} by calls.`,
  );
}
