/** The kernels that must all pass the contract's tests: ours, and a stock one behind Debian's jupyter-server. */
import { afterAll, beforeAll, describe } from 'vitest';
import { createKernelRunner, type KernelRunner } from '../../testkit/kernelRunner.ts';
import { type KernelServer, startAgent, startJupyterServer } from '../../testkit/kernelServers.ts';
import { type SocketRelay, startSocketRelay } from './socketRelay.ts';

/** The first run on a machine builds an image with packages. */
const PREPARE_TIMEOUT_MS = 600_000;

export const KERNELS = [
  { name: "Debian's jupyter-server", start: startJupyterServer, isOurs: false },
  { name: 'our agent', start: startAgent, isOurs: true },
] as const;

/** For a test with a kernel, on a machine that runs other tests too. */
const TEST_TIMEOUT_MS = 120_000;

/** The kernel of the current describe block. It is there once the block's tests run. */
export interface ContractKernel {
  readonly isOurs: boolean;
  readonly server: KernelServer;
  readonly runner: KernelRunner;
  /** Sits between the runner and the server. */
  readonly relay: SocketRelay;
}

/** Defines the same tests for each kernel. */
export function describeKernels(tests: (kernel: ContractKernel) => void): void {
  describe.each(KERNELS)('a kernel behind $name', { timeout: TEST_TIMEOUT_MS }, (each) =>
    tests(useKernel(each)),
  );
}

/** Starts a kernel before the tests of the block and ends it after them. */
export function useKernel({ start, isOurs }: (typeof KERNELS)[number]): ContractKernel {
  let server: KernelServer | undefined;
  let relay: SocketRelay | undefined;
  let runner: KernelRunner | undefined;
  beforeAll(async () => {
    server = await start();
    relay = await startSocketRelay(server.socketPath);
    runner = createKernelRunner(server.targetAt(relay.socketPath));
  }, PREPARE_TIMEOUT_MS);
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
    isOurs,
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
