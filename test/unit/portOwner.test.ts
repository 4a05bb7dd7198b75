import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { expect, it } from 'vitest';
import { listeningProcess } from '../../src/server/http/listen.ts';

/** Every loopback address that this machine has; IPv6 may be off. */
const loopback = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .flatMap(({ address }) => (address === '127.0.0.1' || address === '::1' ? [address] : []));

it.each(loopback)('names the process that listens on a port of %s', async (host) => {
  const server = createServer().listen(0, host);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  expect(listeningProcess(port)).toContain(`process ${process.pid} (`);
  server.close();
  await once(server, 'close');
  expect(listeningProcess(port)).toBeNull();
});
