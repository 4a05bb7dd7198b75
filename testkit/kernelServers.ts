/** Starts kernels for tests. Each is in a container without a network, and is reached over its own Unix socket. */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Docker from 'dockerode';
import { pino } from 'pino';
import type { PoolId, WorkerId } from '../src/domain/ids.ts';
import { createAgentCalls } from '../src/kernel/calls/createAgentCalls.ts';
import type { KernelTarget } from '../src/kernel/channel/kernelTarget.ts';
import { newId } from '../src/process/newId.ts';
import { askEngine } from '../src/runtime/docker/askEngine.ts';
import { createDockerRuntime } from '../src/runtime/docker/dockerRuntime.ts';
import { socketAddress } from '../src/runtime/docker/socketAddress.ts';
import { asRoot } from './asRoot.ts';
import { imageWithPackage } from './imageWithPackage.ts';

export interface KernelServer {
  readonly target: KernelTarget;
  readonly socketPath: string;
  /** The same server, reached through another socket that leads to its own. The caller counts as another client. */
  targetAt(socketPath: string): KernelTarget;
  interrupt(msgId: string): Promise<void>;
  restart(): Promise<void>;
  close(): Promise<void>;
}

/** Enough for a cold start of server and kernel on a machine that runs other tests too. */
const START_TIMEOUT_MS = 60_000;
const TOKEN = 'for-this-test-only';

function workerImage(): string {
  const image = process.env.WORKER_IMAGE;
  if (!image) throw new Error('WORKER_IMAGE is not set. npm test builds the image and sets it.');
  return image;
}

/** Starts Debian's jupyter-server with one stock IPython kernel. @param settings arguments for its command line */
export async function startJupyterServer(settings: readonly string[] = []): Promise<KernelServer> {
  const docker = new Docker();
  const image = await imageWithPackage(docker, workerImage(), 'jupyter-server');
  const directory = mkdtempSync(join(tmpdir(), 'cellhouse-jupyter-'));
  const socketPath = join(directory, 'jupyter.sock');
  const container = await docker.createContainer({
    Image: image,
    Entrypoint: ['jupyter-server'],
    Cmd: [
      '--allow-root',
      '--ServerApp.sock=/server/jupyter.sock',
      '--ServerApp.root_dir=/tmp',
      `--IdentityProvider.token=${TOKEN}`,
      // By default the server drops output that is too fast for a browser.
      '--ZMQChannelsWebsocketConnection.limit_rate=False',
      ...settings,
    ],
    Labels: { 'cellhouse.test': 'jupyter-server' },
    HostConfig: { NetworkMode: 'none', Binds: [`${directory}:/server`], AutoRemove: true },
  });
  const close = async (): Promise<void> => {
    await container.remove({ force: true });
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    await container.start();
    await socketAddress(socketPath).untilOpen(AbortSignal.timeout(START_TIMEOUT_MS));
    const kernel = JSON.parse(await post(socketPath, '', '{"name":"python3"}')) as { id: string };
    const path = `/api/kernels/${kernel.id}/channels`;
    const headers = { authorization: `token ${TOKEN}` };
    const targetAt = (at: string): KernelTarget => ({
      kind: 'jupyter',
      url: `ws+unix:${at}:${path}?session_id=${randomUUID()}`,
      headers,
    });
    const ask = (what: string) => post(socketPath, `/${kernel.id}/${what}`, '');
    return {
      target: targetAt(socketPath),
      socketPath,
      targetAt,
      interrupt: async () => void (await ask('interrupt')),
      restart: async () => void (await ask('restart')),
      close,
    };
  } catch (error: unknown) {
    await close();
    throw error;
  }
}

/** Makes a call to jupyter-server's kernel API. @returns the answer's body @throws Error if it fails */
function post(socketPath: string, path: string, body: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const call = request({
      socketPath,
      method: 'POST',
      path: `/api/kernels${path}`,
      headers: { authorization: `token ${TOKEN}`, 'content-length': body.length },
      signal: AbortSignal.timeout(START_TIMEOUT_MS),
    });
    call.on('error', reject);
    call.on('response', async (response) => {
      const answer = Buffer.concat(await response.toArray()).toString('utf8');
      if ((response.statusCode ?? 0) >= 300)
        return reject(new Error(`${response.statusCode} ${answer}`));
      resolve(answer);
    });
    call.end(body);
  });
}

export interface AgentServer extends KernelServer {
  readonly containerId: string;
  /** Resident memory of the agent's own process, in bytes. */
  agentBytes(): Promise<number>;
  /** Its highest resident memory so far. Under gVisor, which does not record it, the present value. */
  agentPeakBytes(): Promise<number>;
}

/**
 * Starts our agent in a container exactly like those that the pool makes.
 * @param ociRuntime DOCKER_RUNTIME by default
 * @param environment the agent's settings (docs/worker-protocol.md, "Container environment")
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
    imageId: await runtime.imageId(workerImage()),
    limits: { memoryMb: 512, diskMb: 256, cpus: 1, pids: 128 },
    environment,
  });
  const close = async (): Promise<void> => {
    // Not through the runtime: a gateway gives up an answer after 30 s, and removes what is left in its next sweep. Here
    // is none, and the engine may take longer for a large sandbox of gVisor on a busy machine.
    const container = new Docker({ socketPath }).getContainer(containerId);
    await container.remove({ force: true, v: true }).catch((error: { statusCode?: number }) => {
      if (error.statusCode !== 404) throw error;
    });
    rmSync(socketDir, { recursive: true, force: true });
  };
  try {
    await socketAddress(location).untilOpen(AbortSignal.timeout(START_TIMEOUT_MS));
    const agentMemory = () => residentMemory(containerId, 'cellhouse_agent');
    const targetAt = (at: string): KernelTarget => ({
      kind: 'agent',
      address: socketAddress(at),
    });
    const target = targetAt(location);
    const call = createAgentCalls({ target, epoch: 1, signal: new AbortController().signal });
    return {
      target,
      socketPath: location,
      targetAt,
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
  // Its forks have the same command line, and higher process ids.
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
