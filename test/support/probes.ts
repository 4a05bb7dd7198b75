/** Attacks on a worker, in Python (test/e2e/security/probes): their names, and the code that runs a theme. */

import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { TestGateway } from '../../testkit/gateway.ts';

export const TIERS = ['runc', 'runsc'] as const;
export type Tier = (typeof TIERS)[number];

const FOLDER = new URL('../e2e/security/probes/', import.meta.url);
const HARNESS = 'harness';

export interface Verdict {
  readonly probe: string;
  /** What the attack saw when it was refused. Exactly one of the three fields is set. */
  readonly held?: string;
  readonly through?: string;
  /** The attack failed for a reason that says nothing about the defence. */
  readonly broken?: string;
}

/** The parameters of the probes; probes/harness.py lists them as PARAMETERS. */
export interface ProbeParameters {
  readonly tier: Tier;
  /** Names of settings that anyone may know. */
  readonly settings: readonly string[];
  readonly gateway_port: number;
  /** A port on which a server listens on every address of the host. */
  readonly open_port: number;
  readonly host_addresses: readonly string[];
  readonly host_paths: readonly string[];
  readonly host_cmdline: string;
  /** The name of a listening abstract Unix socket of the host, without its leading NUL. */
  readonly abstract_socket: string;
}

/** Each file is one theme. */
export function probeThemes(): string[] {
  return readdirSync(FOLDER)
    .filter((name) => name.endsWith('.py') && name !== `${HARNESS}.py`)
    .map((name) => name.slice(0, -'.py'.length));
}

/** The names of a theme's probes for this tier, in the order in which they run. */
export function probeNames(theme: string, tier: Tier): string[] {
  const probes = sourceOf(theme).matchAll(/^@probe\(\s*"([^"]+)"(?:,\s*only="(\w+)")?,?\s*\)/gm);
  return [...probes].flatMap(([, name = '', only]) =>
    only === undefined || only === tier ? [name] : [],
  );
}

/** Python that runs every probe of a theme, or of `source` instead. Each printed line is a {@link Verdict} as JSON. */
export function probeCode(
  theme: string,
  parameters: ProbeParameters,
  source: string = sourceOf(theme),
): string {
  const modules = JSON.stringify([
    [HARNESS, sourceOf(HARNESS)],
    [theme, source],
  ]);
  return `import json, os, sys, types
for name, source in json.loads(${JSON.stringify(modules)}):
    module = sys.modules[name] = types.ModuleType(name)
    exec(compile(source, name + ".py", "exec"), module.__dict__)
    if name == ${JSON.stringify(HARNESS)}:
        module.PARAMETERS.update(json.loads(${JSON.stringify(JSON.stringify(parameters))}), kernel_pid=os.getpid())
sys.modules[${JSON.stringify(HARNESS)}].run_probes()
`;
}

/** @throws SyntaxError if anything else was printed */
export function parseVerdicts(stdout: string): Map<string, Verdict> {
  const lines = stdout.split('\n').filter(Boolean);
  const verdicts = lines.map((line) => JSON.parse(line) as Verdict);
  return new Map(verdicts.map((verdict) => [verdict.probe, verdict]));
}

function sourceOf(theme: string): string {
  return readFileSync(new URL(`${theme}.py`, FOLDER), 'utf8');
}

// Targets on the host for hostile code: servers that really listen, and facts about the host.

export interface HostTargets {
  readonly parameters: ProbeParameters;
  /** How many connections the servers have accepted. */
  connections(): number;
  close(): Promise<void>;
}

/** Settings of the agent that user code may know, where the runtime shows them (docs/internals/worker-protocol.md). */
const SETTINGS = ['ORPHAN_TIMEOUT_MS', 'REPLAY_BUFFER_BYTES', 'CPUS', 'PIDS'];

export async function openHostTargets(gateway: TestGateway, tier: Tier): Promise<HostTargets> {
  let connections = 0;
  const count = () => {
    connections += 1;
  };
  const abstractName = `cellhouse-probe-${process.pid}-${tier}`;
  const everywhere = await listening(createServer(count).listen(0));
  const withoutFile = await listening(createServer(count).listen(`\0${abstractName}`));
  const { port } = everywhere.address() as AddressInfo;
  return {
    parameters: {
      tier,
      settings: SETTINGS.map((name) => `CELLHOUSE_${name}`),
      gateway_port: gateway.port,
      open_port: port,
      host_addresses: externalAddresses(),
      host_paths: [gateway.dataDir, gateway.env.SOCKET_DIR ?? '', `${gateway.dataDir}/auth-token`],
      host_cmdline: readFileSync('/proc/cmdline', 'utf8').trim(),
      abstract_socket: abstractName,
    },
    connections: () => connections,
    close: async () => {
      await Promise.all([everywhere, withoutFile].map(closed));
    },
  };
}

function externalAddresses(): string[] {
  const addresses = Object.values(networkInterfaces()).flatMap((all) => all ?? []);
  return addresses.flatMap(({ family, internal, address }) =>
    family === 'IPv4' && !internal ? [address] : [],
  );
}

async function listening(server: Server): Promise<Server> {
  await once(server, 'listening');
  return server;
}

async function closed(server: Server): Promise<void> {
  server.close();
  await once(server, 'close');
}
