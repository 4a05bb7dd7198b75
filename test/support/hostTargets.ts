/** Targets on the host for hostile code: servers that really listen, and facts about the host. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { TestGateway } from '../../testkit/gateway.ts';
import type { ProbeParameters, Tier } from './probes.ts';

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
