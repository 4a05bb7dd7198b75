/**
 * What doctor says of decisions that only an operator can take: who can connect and with which tokens, which hosts code
 * may reach, and how much users may use.
 */
import type { Config } from '../config/config.ts';
import { quotaDefaults } from '../config/quotas.ts';
import { isForEveryHost } from '../domain/egress.ts';
import { isLoopback } from '../server/http/listen.ts';
import type { InstallationUse } from './database.ts';
import { type Finding, ok, unknown, warning } from './finding.ts';

/** Pure. @param isContainer whether this is a container: who can connect then depends on the ports that it publishes */
export function judgeHost({ host }: Pick<Config, 'host'>, isContainer: boolean): Finding {
  if (isLoopback(host)) return ok('host', `Only this machine can connect (HOST is ${host}).`);
  return isContainer
    ? unknown('host', `Not checked: this container has HOST ${host}, and others publish its port.`)
    : warning('hostOpen', host);
}

/** Pure. Without a finding if clients have tokens, if there are none, or if the database does not say. */
export function judgeSharing(use: Pick<InstallationUse, 'tenants' | 'sessions'> | null): Finding[] {
  return use !== null && use.tenants === 0 && use.sessions.size > 0
    ? [warning('tokensShared')]
    : [];
}

/** Pure. */
export function judgeEgress({ egressAllow }: Pick<Config, 'egressAllow'>): Finding {
  if (egressAllow.length === 0) return ok('egress', 'Code has no network.');
  const widest = egressAllow.find(isForEveryHost);
  return widest
    ? warning('egressEverywhere', widest.text)
    : ok('egress', `Code may reach only what EGRESS_ALLOW names (rules: ${egressAllow.length}).`);
}

/** Pure. Warns only if there are several tenants and no quota of any kind: users of one tenant may belong together. */
export function judgeQuotas(
  config: Config,
  use: Pick<InstallationUse, 'tenants' | 'setQuotas'> | null,
): Finding {
  if (use === null) return unknown('quotas', 'Not checked, because the database does not say.');
  const { TENANT, USER } = quotaDefaults(config);
  const defaults = Object.keys(TENANT).length + Object.keys(USER).length;
  const { tenants, setQuotas } = use;
  if (defaults + setQuotas === 0 && tenants > 1) return warning('quotasNone', tenants);
  return ok(
    'quotas',
    `Tenants with tokens: ${tenants}. Quotas: ${defaults} by settings, ${setQuotas} by calls.`,
  );
}
