/**
 * What this installation allows code to do, as descriptions tell it to models. The text is the same for all callers,
 * because hosts may cache it. It must also be true for a tenant or session that may reach less.
 */
import type { ToolAnnotations } from '@modelcontextprotocol/server';
import { isListed, parseTarget } from '../../../domain/egress.ts';
import type { DoorSettings } from '../../openDoor.ts';

/** How long code may run, in seconds. */
export interface TimeLimit {
  /** For a call that names no limit. */
  readonly byDefault: number;
  readonly max: number;
}

export interface Allowed {
  /** What code can reach, in words. */
  readonly network: string;
  /**
   * The annotations of tools that run the code or command that they are given. `openWorldHint` is true if code can
   * reach a network.
   */
  readonly runsCode: ToolAnnotations;
  readonly codeSeconds: TimeLimit;
  readonly commandSeconds: TimeLimit;
}

type Settings = Pick<
  DoorSettings,
  'egressAllow' | 'pipIndexUrl' | 'maxExecutionTimeoutMs' | 'maxCommandTimeoutMs'
>;

/** Models rarely say how long code may run, so this is longer than EXECUTION_TIMEOUT_MS is by default. */
const DEFAULT_SECONDS = 60;
/** Far longer than a host waits. get_execution returns what follows after the wait. */
const MAX_COMMAND_SECONDS = 3_600;

export function allowedBy(settings: Settings): Allowed {
  return {
    network: networkIn(settings),
    runsCode: {
      readOnlyHint: false,
      destructiveHint: false,
      idempotentHint: false,
      openWorldHint: settings.egressAllow.length > 0,
    },
    codeSeconds: atMost(settings.maxExecutionTimeoutMs / 1_000),
    commandSeconds: atMost(Math.min(settings.maxCommandTimeoutMs / 1_000, MAX_COMMAND_SECONDS)),
  };
}

function atMost(max: number): TimeLimit {
  return { byDefault: Math.min(DEFAULT_SECONDS, max), max };
}

function networkIn(settings: Settings): string {
  const { egressAllow } = settings;
  if (egressAllow.length === 0) return 'There is no network: no downloads, no pip install.';
  const hosts = egressAllow.some(({ text }) => text === '*')
    ? 'Hosts on the internet can be reached'
    : 'Only hosts that the operator has listed can be reached';
  const pip = reachesIndex(settings)
    ? 'The package index of pip is among them. A session may be allowed less.'
    : 'The package index is not among them: no pip install.';
  return `${hosts}, by HTTP and HTTPS through a proxy that pip, requests and curl find by themselves. ${pip}`;
}

/** PyPI's pages are on one host, and its files on the other. */
const PYPI = ['https://pypi.org', 'https://files.pythonhosted.org'];
const DEFAULT_PORTS: Readonly<Record<string, number>> = { 'https:': 443, 'http:': 80 };

function reachesIndex({ egressAllow, pipIndexUrl }: Settings): boolean {
  const hosts = pipIndexUrl === null ? PYPI : [pipIndexUrl];
  return hosts.every((url) => {
    const { host, protocol } = new URL(url);
    const target = parseTarget(host, DEFAULT_PORTS[protocol] ?? null);
    return target !== null && isListed(egressAllow, target);
  });
}
