/** A small stand-in for the predecessor, in containers on their own network. README.md lists what it leaves out. */
import { randomUUID } from 'node:crypto';
import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import Docker from 'dockerode';
import { imageWithPackage } from '../../testkit/testImage.ts';
import { workerImage } from '../../testkit/workerImage.ts';
import type { CodeRunner, RoundTrip } from '../suite/takeTurns.ts';
import { keptConnection } from '../support/httpExecute.ts';

/** Which of the predecessor's avoidable costs the stand-in has. */
export type PredecessorKind =
  /** All of them: a new HTTP client for each call, and a Jupyter server over TCP. */
  | 'as it was'
  /** The same, but the Jupyter server is reached over a Unix socket, where nothing waits for acknowledgements. */
  | 'without delay'
  /** Connections are kept, and `jupyter_client` talks to the kernel directly. */
  | 'at its best';

interface PredecessorOptions {
  readonly kind: PredecessorKind;
  /** The number of workers that are ready before the first call. */
  readonly idleWorkers: number;
}

export interface Predecessor extends CodeRunner {
  /** A round trip in that user's session, which the first call opens, over its own connection. */
  roundTripOf(userUuid: string): RoundTrip;
  /** The creation times of its workers, in order. */
  workersCreatedAt(): Promise<readonly Date[]>;
}

const SETTINGS: Record<PredecessorKind, { link: string; keepsConnections: boolean }> = {
  'as it was': { link: 'tcp', keepsConnections: false },
  'without delay': { link: 'unix', keepsConnections: false },
  'at its best': { link: 'client', keepsConnections: true },
};
const PORT = 3874;
/** Generous, because many workers start at once on a machine with few cores. */
const START_TIMEOUT_MS = 120_000;
const POLL_MS = 100;

/** @throws Error with its log if it is not ready in time */
export async function startPredecessor(options: PredecessorOptions): Promise<Predecessor> {
  const docker = new Docker();
  // Short, because a DNS name has at most 63 characters, and the names of workers begin with this one.
  const network = `cellhouse-bench-${randomUUID().slice(0, 8)}`;
  const token = randomUUID();
  const image = await predecessorImage(docker);
  const created = await docker.createNetwork({ Name: network, Internal: true });
  const close = () => removeAll(docker, network);
  try {
    const gateway = await docker.createContainer(
      gatewaySpec({ ...options, network, token, image }),
    );
    await gateway.start();
    const { Containers } = await created.inspect();
    const [address] = (Containers?.[gateway.id]?.IPv4Address ?? '').split('/');
    // The container's own address, because Docker's proxy for published ports costs time.
    const url = `http://${address}:${PORT}`;
    await untilHealthy(url, gateway);
    const roundTripOf = (userUuid: string): RoundTrip => roundTripAt(url, token, userUuid);
    return {
      name: `the predecessor, ${options.kind}`,
      roundTrip: roundTripOf('bench'),
      roundTripOf,
      workersCreatedAt: () => workersCreatedAt(docker, network),
      close,
    };
  } catch (error: unknown) {
    await close();
    throw error;
  }
}

function predecessorImage(docker: Docker): Promise<string> {
  const web = ['python3-fastapi', 'python3-uvicorn', 'python3-uvloop', 'python3-httptools'];
  const clients = ['python3-httpx', 'python3-websockets'];
  return imageWithPackage(docker, workerImage(), 'jupyter-server', ...web, ...clients);
}

interface GatewayOptions extends PredecessorOptions {
  readonly network: string;
  readonly token: string;
  readonly image: string;
}

function gatewaySpec(options: GatewayOptions): Docker.ContainerCreateOptions {
  const { kind, idleWorkers, network, token, image } = options;
  const { link, keepsConnections } = SETTINGS[kind];
  // Relative to the project's root, because the compiled file is elsewhere.
  const folder = resolve('bench/contenders/standIn');
  return {
    name: `${network}-gateway`,
    Image: image,
    Entrypoint: ['python3', '-m', 'uvicorn'],
    Cmd: [
      ...['--app-dir', '/contender', '--host', '0.0.0.0', '--port', String(PORT)],
      ...['--loop', 'uvloop', '--http', 'httptools'],
      ...['--log-level', 'warning', '--no-access-log', 'gateway:app'],
    ],
    Env: [
      `TOKEN=${token}`,
      `IMAGE=${image}`,
      `NETWORK=${network}`,
      `FOLDER=${folder}`,
      `LINK=${link}`,
      `MIN_IDLE_WORKERS=${idleWorkers}`,
      `KEEPS_CONNECTIONS=${keepsConnections ? 'yes' : 'no'}`,
    ],
    Labels: { 'cellhouse.bench': network },
    HostConfig: {
      NetworkMode: network,
      Binds: [`${folder}:/contender:ro`, '/var/run/docker.sock:/var/run/docker.sock'],
    },
  };
}

function roundTripAt(url: string, token: string, userUuid: string): RoundTrip {
  const connection = keptConnection(url, token);
  return async (code, expected) => {
    const startedAt = performance.now();
    const answer = await connection.post('/execute', { user_uuid: userUuid, code });
    const tookMs = performance.now() - startedAt;
    if (JSON.parse(answer).result_text !== expected) throw new Error(answer);
    return tookMs;
  };
}

async function untilHealthy(url: string, gateway: Docker.Container): Promise<void> {
  const limit = AbortSignal.timeout(START_TIMEOUT_MS);
  for (;;) {
    try {
      const { ok } = await fetch(`${url}/health`, { signal: limit });
      if (ok) return;
    } catch (error: unknown) {
      const { State } = await gateway.inspect();
      if (!State.Running || limit.aborted) {
        const log = await gateway.logs({ stdout: true, stderr: true });
        throw new Error(`The predecessor did not start: ${log}`, { cause: error });
      }
    }
    await delay(POLL_MS);
  }
}

async function workersCreatedAt(docker: Docker, network: string): Promise<readonly Date[]> {
  const labelled = await containersOf(docker, network);
  const workers = labelled.filter(({ Names }) => !Names.includes(`/${network}-gateway`));
  const infos = await Promise.all(workers.map(({ Id }) => docker.getContainer(Id).inspect()));
  return infos.map(({ Created }) => new Date(Created)).sort((one, other) => +one - +other);
}

function containersOf(docker: Docker, network: string): Promise<Docker.ContainerInfo[]> {
  return docker.listContainers({
    all: true,
    filters: { label: [`cellhouse.bench=${network}`] },
  });
}

/** Removes all containers and the network. The gateway is removed first, so that it makes no more workers. */
async function removeAll(docker: Docker, network: string): Promise<void> {
  const found = await containersOf(docker, network);
  found.sort((one, other) => Number(isGateway(other)) - Number(isGateway(one)));
  for (const { Id } of found) await docker.getContainer(Id).remove({ force: true });
  const networks = await docker.listNetworks({ filters: { name: [network] } });
  for (const { Id } of networks) await docker.getNetwork(Id).remove();
}

function isGateway({ Names }: Docker.ContainerInfo): boolean {
  return Names.some((name) => name.endsWith('-gateway'));
}
