/**
 * A relay between one gateway and PostgreSQL: TCP on the gateway's side, the server's Unix socket on the other. It can
 * cut connections, refuse new ones, delay data, or stop passing data without closing (half-open connections).
 */
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { pause } from '../../src/async/pause.ts';

export interface Wire {
  readonly port: number;
  /** Ends all connections. New ones are accepted. */
  cut(): void;
  /** Ends all connections and refuses new ones until {@link Wire.open}. */
  refuse(): void;
  /** Existing connections never pass data again, but stay open on both sides. New ones work. */
  silence(): void;
  /** Delays data from now on by this time, keeping its order. */
  slowDown(delayMs: number): void;
  /** Accepts connections and passes data without delay again. Silenced connections stay silent. */
  open(): void;
  close(): Promise<void>;
}

interface Link {
  readonly client: net.Socket;
  readonly upstream: net.Socket;
  isSilent: boolean;
}

/** @param socketPath the server's socket, which need not exist yet */
export async function createWire(socketPath: string): Promise<Wire> {
  const links = new Set<Link>();
  let isRefusing = false;
  let delayMs = 0;

  function relay(client: net.Socket): void {
    if (isRefusing) {
      client.destroy();
      return;
    }
    const link: Link = { client, upstream: net.connect(socketPath), isSilent: false };
    links.add(link);
    pass(link, client, link.upstream);
    pass(link, link.upstream, client);
  }

  /** Passes data in order: each chunk arrives before later ones and before the end of the connection. */
  function pass(link: Link, from: net.Socket, to: net.Socket): void {
    let last = Promise.resolve();
    const after = (then: () => void) => {
      const travelled = delayMs > 0 ? pause(delayMs) : Promise.resolve();
      last = Promise.all([last, travelled]).then(then);
    };
    from.on('data', (chunk) => {
      if (!link.isSilent) after(() => to.write(chunk));
    });
    // Errors are expected here. 'close' follows.
    from.on('error', () => from.destroy());
    from.on('close', () => after(() => end(link)));
  }

  function end(link: Link): void {
    links.delete(link);
    link.client.destroy();
    link.upstream.destroy();
  }

  function cut(): void {
    for (const link of links) end(link);
  }

  const server = net.createServer(relay).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    cut,
    refuse: () => {
      isRefusing = true;
      cut();
    },
    silence: () => {
      for (const link of links) link.isSilent = true;
    },
    slowDown: (ms) => {
      delayMs = ms;
    },
    open: () => {
      isRefusing = false;
      delayMs = 0;
    },
    close: async () => {
      if (!server.listening) return;
      const closed = once(server, 'close');
      server.close();
      cut();
      await closed;
    },
  };
}
