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
 * Each new connection goes to the first of these ports of this host where somebody listens. Like a load balancer, the
 * relay asks the next one if a gateway that is just ending takes a connection and closes it without an answer, unless
 * the request may have changed something. JupyterLab's client would wait for 10 to 30 s after such an end.
 */
export async function startFailoverRelay(ports: readonly number[]): Promise<FailoverRelay> {
  /** Both ends of each connection. A client is here from its first moment, so that no connection outlives a cut. */
  const ends = new Set<Socket>();
  const keep = (end: Socket) => {
    ends.add(end);
    // 'close' follows.
    end.on('error', () => undefined);
    end.on('close', () => ends.delete(end));
  };

  /** @param sent what the client has sent, and no gateway has answered */
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

/** Whether another gateway may be asked the same: nothing was asked yet, or it only reads. */
function isRepeatable(sent: readonly Buffer[]): boolean {
  return sent.length === 0 || Buffer.concat(sent).toString('latin1').startsWith('GET ');
}
