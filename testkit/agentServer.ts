/** Starts agents for tests. Each is in a container without a network, and is reached over its own Unix socket. */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Docker from 'dockerode';
import { pino } from 'pino';
import type { AgentAddress } from '../src/domain/agentAddress.ts';
import type { PoolId, WorkerId } from '../src/domain/ids.ts';
import { createAgentCalls } from '../src/kernel/agent/createAgentCalls.ts';
import { newId } from '../src/process/newId.ts';
import { createDockerRuntime } from '../src/runtime/docker/dockerRuntime.ts';
import { askEngine } from '../src/runtime/docker/engineCalls.ts';
import { socketAddress } from '../src/runtime/docker/workerSocket.ts';
import { asRoot } from './asRoot.ts';
import { lightWorkerImage } from './workerImage.ts';

/** Enough for a cold start of the agent and its kernel on a machine that runs other tests too. */
const START_TIMEOUT_MS = 60_000;

export interface AgentServer {
  readonly address: AgentAddress;
  readonly socketPath: string;
  interrupt(msgId: string): Promise<void>;
  restart(): Promise<void>;
  close(): Promise<void>;
  readonly containerId: string;
  /** Resident memory of the agent's own process, in bytes. */
  agentBytes(): Promise<number>;
  /** The highest resident memory of that process so far. On gVisor, which does not record it, the present value. */
  agentPeakBytes(): Promise<number>;
}

/**
 * Starts our agent in a container exactly like those that the pool makes.
 * @param ociRuntime DOCKER_RUNTIME by default
 * @param environment the agent's settings (docs/internals/worker-protocol.md, "Container environment")
 */
export async function startAgent(
  ociRuntime: string = process.env.DOCKER_RUNTIME ?? 'runc',
  environment: Readonly<Record<string, string>> = {},
): Promise<AgentServer> {
  const dockerHost = process.env.DOCKER_HOST ?? 'unix:///var/run/docker.sock';
  const logger = pino({ level: 'silent' });
  const socketPath = dockerHost.replace(/^unix:\/\//, '');
  const socketDir = mkdtempSync(join(tmpdir(), 'cellhouse-worker-'));
  const { id: engineId } = await askEngine(socketPath, START_TIMEOUT_MS);
  const runtime = createDockerRuntime({ engineId, socketPath, socketDir, ociRuntime, logger });
  const [workerId, poolId] = [newId<WorkerId>(), newId<PoolId>()];
  const { containerId, location } = await runtime.create({
    workerId,
    poolId,
    name: `cellhouse-test-${workerId}`,
    imageId: await runtime.imageId(lightWorkerImage()),
    limits: { memoryMb: 512, diskMb: 256, cpus: 1, pids: 128 },
    environment,
  });
  const close = async (): Promise<void> => {
    // This bypasses the runtime, which waits only 30 s for the engine. On a busy machine, the engine may take longer to
    // remove a large gVisor sandbox. A gateway would remove the rest in its next sweep, but no gateway runs here.
    const container = new Docker({ socketPath }).getContainer(containerId);
    await container.remove({ force: true, v: true }).catch((error: { statusCode?: number }) => {
      if (error.statusCode !== 404) throw error;
    });
    rmSync(socketDir, { recursive: true, force: true });
  };
  try {
    await socketAddress(location).untilOpen(AbortSignal.timeout(START_TIMEOUT_MS));
    const agentMemory = () => residentMemory(containerId, 'cellhouse_agent');
    const address = socketAddress(location);
    const call = createAgentCalls({ address, epoch: 1, signal: new AbortController().signal });
    return {
      address,
      socketPath: location,
      containerId,
      agentBytes: async () => (await agentMemory()).bytes,
      agentPeakBytes: async () => (await agentMemory()).peakBytes,
      interrupt: async (msgId) =>
        void (await call('interrupt', { msgId, requestId: randomUUID() })),
      restart: async () => void (await call('restart', { requestId: randomUUID() })),
      close,
    };
  } catch (error: unknown) {
    await close();
    throw error;
  }
}

/**
 * The resident memory of the container's process that runs this Python module. It is read inside the container, because
 * gVisor shows no processes to the host. The command must begin with Python, because tini's command contains the
 * module's name too.
 */
async function residentMemory(
  containerId: string,
  module: string,
): Promise<{ bytes: number; peakBytes: number }> {
  // The agent's forks have the same command line but higher process ids, so the first match is the agent itself.
  const look = `for pid in $(ls /proc | grep -x '[0-9]*' | sort -n); do
    case "$(tr '\\0' ' ' < /proc/$pid/cmdline)" in /usr/lib/cellhouse/bin/python3*' ${module} '*) grep -E 'VmRSS|VmHWM' /proc/$pid/status; exit;; esac
  done`;
  const printed = await asRoot(containerId, ['sh', '-c', look]);
  const bytesOf = (field: string) =>
    1_024 * Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(printed)?.[1] ?? Number.NaN);
  const bytes = bytesOf('VmRSS');
  if (Number.isNaN(bytes)) throw new Error(`No ${module} in ${containerId}: ${printed}`);
  return { bytes, peakBytes: Math.max(bytes, bytesOf('VmHWM') || 0) };
}
