/**
 * The wire between one gateway and PostgreSQL: TCP on one side, the server's Unix socket on the other. It can be cut, kept
 * from connecting, slowed down, or let fall silent without a word (half open).
 */
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { pause } from '../../src/async/pause.ts';

export interface Wire {
  readonly port: number;
  /** Ends all connections; new ones pass. */
  cut(): void;
  /** Ends all connections and takes no more until {@link Wire.open}. */
  refuse(): void;
  /** From now on nothing passes on the connections there are, for good, and neither side is told. New ones pass. */
  silence(): void;
  /** What passes from now on arrives so much later, in order. */
  slowDown(delayMs: number): void;
  /** Takes and passes everything at once again, but for connections that were silenced. */
  open(): void;
  close(): Promise<void>;
}

interface Link {
  readonly client: net.Socket;
  readonly upstream: net.Socket;
  isSilent: boolean;
}

/** @param socketPath of the server, which need not be there yet */
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

  /** A chunk that is on its way arrives before those that set out after it, and before the end. */
  function pass(link: Link, from: net.Socket, to: net.Socket): void {
    let last = Promise.resolve();
    const after = (then: () => void) => {
      const travelled = delayMs > 0 ? pause(delayMs) : Promise.resolve();
      last = Promise.all([last, travelled]).then(then);
    };
    from.on('data', (chunk) => {
      if (!link.isSilent) after(() => to.write(chunk));
    });
    // Breaking the wire is what this is for; 'close' follows.
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
