/** One address for several gateways, as a load balancer gives them. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface FailoverRelay {
  readonly url: string;
  /** Destroys every connection, as if the network were gone for a moment. */
  cut(): void;
  close(): Promise<void>;
}

/** Each new connection goes to the first of these ports of this host where somebody listens. */
export async function startFailoverRelay(ports: readonly number[]): Promise<FailoverRelay> {
  const ends = new Set<Socket>();
  const keep = (from: Socket, to: Socket) => {
    ends.add(from);
    from.on('error', () => to.destroy());
    from.on('close', () => {
      ends.delete(from);
      to.destroy();
    });
  };
  async function upstream(): Promise<Socket | null> {
    for (const port of ports) {
      const socket = connect(port, '127.0.0.1');
      const isOpen = await once(socket, 'connect').then(
        () => true,
        () => false,
      );
      if (isOpen) return socket;
    }
    return null;
  }
  const server = createServer(async (client) => {
    client.on('error', () => client.destroy());
    const socket = await upstream();
    if (socket === null) return void client.destroy();
    keep(client, socket);
    keep(socket, client);
    client.pipe(socket).pipe(client);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const cut = () => {
    for (const end of ends) end.destroy();
  };
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut,
    close: async () => {
      cut();
      server.close();
      await once(server, 'close');
    },
  };
}
