/** What user code may reach outside its worker. */
import { isIP } from 'node:net';
import { type EgressRule, notCovered, parseRules, parseTarget } from '../domain/egress.ts';
import { isPlainName } from '../domain/text.ts';
import { integer, milliseconds, optional, optionalInteger, parseUrl } from './setting.ts';

const DNS_PORT = 53;

export const EGRESS = {
  egressAllow: optional<readonly EgressRule[], readonly EgressRule[]>({
    name: 'EGRESS_ALLOW',
    text: 'The hosts that code may reach, separated by commas or spaces: names (`pypi.org`, `*.example.org`, or `*` for all), addresses and networks. An entry is for its port (`example.org:8443`) or, without a port, for 80 and 443. Private, loopback and link-local addresses must be listed as addresses, with a port. See [Egress](egress.md).',
    whenUnset: 'nothing',
    unset: [],
    allowed:
      'hosts such as pypi.org, *.example.org:8443, 9.9.9.9 or [::1]:8080, separated by commas or spaces; a private address needs its port',
    parse: parseRules,
  }),
  /** By tenant. A tenant that is not named may reach all of EGRESS_ALLOW. */
  tenantEgressAllow: optional({
    name: 'TENANT_EGRESS_ALLOW',
    text: 'Which hosts of `EGRESS_ALLOW` each tenant may reach, such as `a=pypi.org files.pythonhosted.org,b=`. A tenant that is not named may reach all of them.',
    whenUnset: 'all of `EGRESS_ALLOW` for each',
    unset: new Map<string, readonly EgressRule[]>(),
    allowed: 'pairs of a tenant and hosts, such as a=pypi.org example.org:8443,b=',
    parse: parseTenantRules,
  }),
  egressDns: optional<readonly string[], readonly string[]>({
    name: 'EGRESS_DNS',
    text: 'The DNS servers that resolve names for code, separated by commas: addresses, with or without a port.',
    whenUnset: "the system's, with its `/etc/hosts`",
    unset: [],
    allowed: 'addresses such as 192.0.2.53 or [2001:db8::53]:5353, separated by commas',
    parse: (given) => {
      const servers = given.split(',').map((part) => part.trim());
      return servers.every(isServer) ? servers : undefined;
    },
  }),
  egressMaxConnections: integer({
    name: 'EGRESS_MAX_CONNECTIONS',
    text: 'How many connections to the outside one worker may have at the same time.',
    fallback: 64,
    min: 1,
    // An agent accepts no more (MAX_STREAMS in worker-image/agent/cellhouse_agent/egress.py).
    max: 256,
  }),
  egressMaxTotalConnections: integer({
    name: 'EGRESS_MAX_TOTAL_CONNECTIONS',
    text: 'How many connections to the outside all workers of one gateway may have at the same time.',
    fallback: 1_024,
    min: 1,
    max: 65_536,
  }),
  /** Null: as many as all tenants together. */
  egressMaxTenantConnections: optionalInteger({
    name: 'EGRESS_MAX_TENANT_CONNECTIONS',
    text: 'How many of these connections the workers of one tenant may have, so that no tenant takes all.',
    whenUnset: '`EGRESS_MAX_TOTAL_CONNECTIONS`',
    min: 1,
    max: 65_536,
  }),
  /** Null: pip's default index. */
  pipIndexUrl: optional<string, null>({
    name: 'PIP_INDEX_URL',
    text: 'The index that pip uses in sessions, if `EGRESS_ALLOW` lists anything. `EGRESS_ALLOW` must list its host, too. All code can read the URL.',
    whenUnset: "pip's own, `https://pypi.org/simple`",
    unset: null,
    allowed: 'an http or https URL without credentials, such as https://pypi.example.org/simple',
    parse: (given) => (isPlainUrl(given) ? given : undefined),
  }),
  egressConnectTimeoutMs: milliseconds({
    name: 'EGRESS_CONNECT_TIMEOUT_MS',
    text: 'How long code may take to name the host that it wants to reach, and how long the gateway may take to resolve the name and to connect.',
    fallback: 10_000,
    min: 100,
  }),
  egressIdleTimeoutMs: milliseconds({
    name: 'EGRESS_IDLE_TIMEOUT_MS',
    text: 'A connection to the outside ends after this time without a byte.',
    fallback: 300_000,
    min: 1_000,
  }),
};

/** The rules of tenants that EGRESS_ALLOW does not cover, one sentence each. */
export function egressProblems(config: {
  readonly egressAllow: readonly EgressRule[];
  readonly tenantEgressAllow: ReadonlyMap<string, readonly EgressRule[]>;
}): string[] {
  return [...config.tenantEgressAllow].flatMap(([tenant, rules]) =>
    rules
      .flatMap((rule) => notCovered(config.egressAllow, rule))
      .map(
        (host) =>
          `TENANT_EGRESS_ALLOW gives the tenant ${tenant} ${host}, which EGRESS_ALLOW does not have.`,
      ),
  );
}

function parseTenantRules(given: string): ReadonlyMap<string, readonly EgressRule[]> | undefined {
  const byTenant = new Map<string, readonly EgressRule[]>();
  for (const pair of given.split(',')) {
    const [tenant = '', hosts, ...rest] = pair.trim().split('=');
    const rules = hosts === undefined ? undefined : parseRules(hosts);
    const isAllowed = isPlainName(tenant) && rest.length === 0 && rules !== undefined;
    if (!isAllowed || byTenant.has(tenant)) return undefined;
    byTenant.set(tenant, rules);
  }
  return byTenant;
}

function isPlainUrl(text: string): boolean {
  const url = parseUrl(text);
  return url !== null && /^https?:$/.test(url.protocol) && `${url.username}${url.password}` === '';
}

/** Whether Node's resolver accepts the text as a DNS server. */
function isServer(text: string): boolean {
  return isIP(text) !== 0 || parseTarget(text, DNS_PORT)?.host.kind === 'address';
}
