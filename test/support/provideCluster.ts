/**
 * Makes one PostgreSQL cluster for all files of test/e2e. A gateway with its own PostgreSQL starts with a copy of this
 * cluster. Most gateways instead have a database on one shared server, which runs on another copy
 * (testkit/sharedServer.ts).
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { availableParallelism } from 'node:os';
import { layoutOf, socketOf } from '../../src/postgres/cluster.ts';
import {
  ensureEmbeddedPostgres,
  stopEmbeddedPostgres,
} from '../../src/postgres/embeddedPostgres.ts';
import { CLUSTER_VARIABLE, SERVER_VARIABLE, seedCluster } from '../../testkit/sharedServer.ts';
import {
  logger,
  makeOwnedFolder,
  makeTables,
  removeAbandoned,
  removeOwned,
} from './provideDatabase.ts';

/** Per CPU: 1.5 files at a time, up to four gateways each, with eleven connections each. The rest is spare. */
const MAX_CONNECTIONS = availableParallelism() * 150;

/**
 * The first Vitest project of a run makes the cluster and the shared server for all projects. The processes that run
 * the tests inherit the environment variables.
 */
export default async function provideCluster(): Promise<() => Promise<void>> {
  if (process.env[CLUSTER_VARIABLE] !== undefined) return async () => undefined;
  await removeAbandoned();
  const [prepared, shared] = [makeOwnedFolder(), makeOwnedFolder()];
  await ensureEmbeddedPostgres({ dataDir: prepared, logger });
  await stopEmbeddedPostgres({ dataDir: prepared, logger });
  process.env[CLUSTER_VARIABLE] = layoutOf(prepared).root;
  seedCluster(shared);
  const address = await ensureEmbeddedPostgres({
    dataDir: shared,
    logger,
    maxConnections: MAX_CONNECTIONS,
  });
  await makeTables(address);
  const relay = await startRelay(socketOf(layoutOf(shared)));
  const { port: tcpPort } = relay.address() as AddressInfo;
  process.env[SERVER_VARIABLE] = JSON.stringify({ address, tcpPort });
  return async () => {
    relay.close();
    for (const dataDir of [prepared, shared]) await removeOwned(dataDir);
  };
}

/** The embedded server has no TCP port, and gateways need one. */
async function startRelay(socketPath: string): Promise<Server> {
  const relay = createServer((client) => {
    const upstream = connect(socketPath);
    const end = () => {
      client.destroy();
      upstream.destroy();
    };
    client.setNoDelay(true).pipe(upstream).pipe(client);
    // 'close' follows an error.
    for (const socket of [client, upstream]) socket.on('error', end).on('close', end);
  }).listen(0, '127.0.0.1');
  await once(relay, 'listening');
  return relay;
}
