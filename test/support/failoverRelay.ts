/** One address for several gateways, as a load balancer gives them. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface FailoverRelay {
  readonly url: string;
  /** Destroys every connection, as if the network were gone for a moment. */
  cut(): void;
  close(): Promise<void>;
}

/**
 * Passes each new connection to the first of these ports of this host on which a gateway listens. A gateway that is
 * just ending may accept a connection, and close it without an answer. Then the relay, like a load balancer, passes the
 * request to the next gateway, unless the request may have changed something. Without this, JupyterLab's client would
 * wait for 10 to 30 s.
 */
export async function startFailoverRelay(ports: readonly number[]): Promise<FailoverRelay> {
  /** The sockets of both sides. A client's is added as soon as it is accepted, so that no connection outlives a cut. */
  const ends = new Set<Socket>();
  const keep = (end: Socket) => {
    ends.add(end);
    // 'close' follows.
    end.on('error', () => undefined);
    end.on('close', () => ends.delete(end));
  };

  /** @param sent chunks that the client has sent and that no gateway has answered */
  function pass(client: Socket, [port, ...others]: readonly number[], sent: readonly Buffer[]) {
    if (port === undefined) return void client.destroy();
    const gateway = connect(port, '127.0.0.1');
    keep(gateway);
    const unanswered = [...sent];
    let isAnswered = false;
    const send = (chunk: Buffer) => {
      if (!isAnswered) unanswered.push(chunk);
      gateway.write(chunk);
    };
    const end = () => gateway.destroy();
    for (const chunk of sent) gateway.write(chunk);
    client.on('data', send);
    client.on('close', end);
    gateway.on('data', (chunk) => {
      isAnswered = true;
      client.write(chunk);
    });
    gateway.on('close', () => {
      client.off('data', send);
      client.off('close', end);
      if (isAnswered || client.destroyed || !isRepeatable(unanswered)) client.destroy();
      else pass(client, others, unanswered);
    });
  }

  const server = createServer((client) => {
    keep(client);
    pass(client, ports, []);
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
      server.close();
      cut();
      await once(server, 'close');
    },
  };
}

/** Whether another gateway may get the same request: nothing was sent yet, or the request only reads. */
function isRepeatable(sent: readonly Buffer[]): boolean {
  return sent.length === 0 || Buffer.concat(sent).toString('latin1').startsWith('GET ');
}
