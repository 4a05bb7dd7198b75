/** A relay between a client and a Unix socket, whose connections a test can cut. */
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface SocketRelay {
  readonly socketPath: string;
  /** Destroys every connection; new ones are accepted. */
  cut(): void;
  /** While set, destroys old and new connections, as if the client's machine were gone. */
  setAway(isAway: boolean): void;
  close(): Promise<void>;
}

export async function startSocketRelay(targetPath: string): Promise<SocketRelay> {
  const directory = mkdtempSync(join(tmpdir(), 'cellhouse-relay-'));
  const socketPath = join(directory, 'relay.sock');
  const ends = new Set<Socket>();
  const relay = (from: Socket, to: Socket): void => {
    ends.add(from);
    // The pipe also ends the other side after the last bytes.
    from.pipe(to);
    from.on('error', () => to.destroy());
    from.on('close', () => ends.delete(from));
  };
  let isGone = false;
  const server = createServer((client) => {
    if (isGone) {
      client.destroy();
      return;
    }
    const upstream = connect({ path: targetPath });
    relay(client, upstream);
    relay(upstream, client);
  });
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  const cut = (): void => {
    for (const end of ends) end.destroy();
  };
  return {
    socketPath,
    cut,
    setAway: (isAway) => {
      isGone = isAway;
      if (isAway) cut();
    },
    close: async () => {
      cut();
      await new Promise((resolve) => server.close(resolve));
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
