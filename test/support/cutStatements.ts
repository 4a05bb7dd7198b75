import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DatabaseAddress } from '../../src/events/connection/client.ts';

export interface CutConnection {
  readonly address: DatabaseAddress;
  /** Whether something was cut. */
  readonly isCut: boolean;
  close(): Promise<void>;
}

/**
 * A way to the database that ends for good when the client has sent so many packets: the next one does not arrive. For
 * the server it is as if the client had been killed there, for the client as if the server had been.
 */
export async function cutAfter(target: DatabaseAddress, packets: number): Promise<CutConnection> {
  if ('url' in target) throw new Error('This needs the parts of an address.');
  const folder = mkdtempSync(join(tmpdir(), 'cellhouse-cut-'));
  const fileIn = (directory: string) => join(directory, `.s.PGSQL.${target.port}`);
  const sockets = new Set<net.Socket>();
  let sent = 0;
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  const server = net.createServer((client) => {
    const upstream = net.connect(fileIn(target.host));
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => socket.destroy());
    }
    client.on('close', () => upstream.destroy());
    client.on('data', (chunk) => {
      sent += 1;
      if (sent > packets) cut();
      else upstream.write(chunk);
    });
    upstream.on('data', (chunk) => client.write(chunk));
  });
  server.listen(fileIn(folder));
  await once(server, 'listening');
  return {
    address: { ...target, host: folder },
    get isCut() {
      return sent > packets;
    },
    close: async () => {
      cut();
      const closed = once(server, 'close');
      server.close();
      await closed;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
