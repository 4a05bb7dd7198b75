/** Gives a describe block an agent of its own. The tests of the block state what the gateway expects of kernels. */

import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { socketAddress } from '../../src/runtime/docker/workerSocket.ts';
import { type AgentServer, startAgent } from '../../testkit/agentServer.ts';
import { createKernelRunner, type KernelRunner } from '../../testkit/kernelRunner.ts';

/** The kernel of the current describe block, available once the block's tests run. */
export interface ContractKernel {
  readonly server: AgentServer;
  readonly runner: KernelRunner;
  /** Sits between the runner and the server. */
  readonly relay: SocketRelay;
}

/** Starts a kernel before the tests of the block and ends it after them. */
export function useKernel(): ContractKernel {
  let server: AgentServer | undefined;
  let relay: SocketRelay | undefined;
  let runner: KernelRunner | undefined;
  beforeAll(async () => {
    server = await startAgent();
    relay = await startSocketRelay(server.socketPath);
    runner = createKernelRunner(socketAddress(relay.socketPath));
  });
  afterAll(async () => {
    await runner?.close();
    await relay?.close();
    await server?.close();
  });
  const started = <T>(value: T | undefined): T => {
    if (value === undefined) throw new Error('Only while tests run.');
    return value;
  };
  return {
    get server() {
      return started(server);
    },
    get runner() {
      return started(runner);
    },
    get relay() {
      return started(relay);
    },
  };
}

// A relay between a client and a Unix socket, whose connections a test can cut.

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
