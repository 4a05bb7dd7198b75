/** An agent of its own for the tests of a block, which hold what the gateway expects of kernels. */
import { afterAll, beforeAll } from 'vitest';
import { socketAddress } from '../../src/runtime/docker/socketAddress.ts';
import { type AgentServer, startAgent } from '../../testkit/agentServer.ts';
import { createKernelRunner, type KernelRunner } from '../../testkit/kernelRunner.ts';
import { type SocketRelay, startSocketRelay } from './socketRelay.ts';

/** The kernel of the current describe block. It is there once the block's tests run. */
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
