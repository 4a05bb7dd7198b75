/** Runs workers as containers of a local Docker engine. */
import { uptime } from 'node:os';
import Docker from 'dockerode';
import type { Logger } from 'pino';
import { messageOf } from '../../domain/errors.ts';
import { type PoolId, parseId, type WorkerId } from '../../domain/ids.ts';
import {
  type ContainerEnd,
  type CpuShare,
  type InspectedWorker,
  type ListedWorker,
  type MadeWorker,
  type Runtime,
  RuntimeError,
  type RuntimeListener,
  type WorkerParts,
  type WorkerSpec,
} from '../runtime.ts';
import { CPU_SHARES, containerSpec, isGvisor, POOL_LABEL, WORKER_LABEL } from './containerSpec.ts';
import { watchContainers } from './dockerEvents.ts';
import { askEngine, engineCall, statusOf } from './engineCalls.ts';
import {
  createEngineIdentity,
  createEngineOutages,
  type EngineIdentity,
  type EngineOutages,
} from './engineIdentity.ts';
import {
  makeSocketFolder,
  removeSocketFolder,
  socketAddress,
  socketFolder,
  socketIn,
} from './workerSocket.ts';

/** An engine that takes longer to answer a call counts as away. Creating and killing take well under a second. */
const ENGINE_CALL_TIMEOUT_MS = 30_000;
/** Longer than dockerode's own limit. Catches answers that break off in the middle, which dockerode never reports. */
const BROKEN_ANSWER_TIMEOUT_MS = ENGINE_CALL_TIMEOUT_MS + 1_000;

export interface DockerRuntimeDeps {
  /** The id of the engine that the pool's workers are on. */
  readonly engineId: string;
  /** The engine's socket. */
  readonly socketPath: string;
  /** SOCKET_DIR. Each worker has a folder below it for its agent's socket. */
  readonly socketDir: string;
  /** DOCKER_RUNTIME: `runc`, `runsc`. */
  readonly ociRuntime: string;
  readonly logger: Logger;
}

interface Parts extends DockerRuntimeDeps {
  readonly docker: Docker;
  readonly identity: EngineIdentity;
  readonly outages: EngineOutages;
}

export function createDockerRuntime(deps: DockerRuntimeDeps): Runtime {
  const docker = new Docker({ socketPath: deps.socketPath, timeout: ENGINE_CALL_TIMEOUT_MS });
  const identity = createEngineIdentity({
    ...deps,
    ask: () => askEngine(deps.socketPath, ENGINE_CALL_TIMEOUT_MS),
  });
  const parts = { ...deps, docker, identity, outages: createEngineOutages(() => new Date()) };
  return {
    name: `docker/${deps.ociRuntime}`,
    imageId: (reference) => imageId(parts, reference),
    create: (spec) => create(parts, spec),
    addressOf: ({ socketPath }) => (socketPath === null ? null : socketAddress(socketPath)),
    list: (poolId) => list(parts, poolId),
    inspect: (containerId) => inspect(parts, containerId),
    setCpuShare: (containerId, share) => setCpuShare(parts, containerId, share),
    remove: (worker) => remove(parts, worker),
    watch: (poolId, listener) => watch(parts, poolId, listener),
  };
}

function answerOf<T>(call: Promise<T>): Promise<T> {
  return engineCall(BROKEN_ANSWER_TIMEOUT_MS, call);
}

async function imageId({ docker, identity }: Parts, reference: string): Promise<string> {
  try {
    return (await identity.during(() => answerOf(docker.getImage(reference).inspect()))).Id;
  } catch (cause: unknown) {
    if (!(cause instanceof RuntimeError) || cause.kind !== 'image-missing') throw cause;
    throw new RuntimeError(
      'image-missing',
      `The worker image ${reference} does not exist on this Docker engine. docs/run/upgrade.md says how to bring it back.`,
      { cause },
    );
  }
}

async function create(
  { docker, identity, ociRuntime, socketDir, logger }: Parts,
  spec: WorkerSpec,
): Promise<MadeWorker> {
  const folder = socketFolder(socketDir, spec);
  const undo: (() => Promise<void>)[] = [];
  try {
    undo.push(() => removeSocketFolder(folder));
    await makeSocketFolder(folder);
    const options = containerSpec(spec, folder, ociRuntime);
    const container = await identity.during(async () => {
      const made = await answerOf(docker.createContainer(options));
      undo.push(() => removeContainer(docker, made.id));
      return made;
    });
    await answerOf(container.start());
    return { containerId: container.id, location: socketIn(folder) };
  } catch (error: unknown) {
    for (const step of undo.reverse()) {
      await step().catch((failure: unknown) =>
        logger.warn(
          { error: messageOf(failure), workerId: spec.workerId },
          'could not remove all of a worker that failed to start; the next sweep tries again',
        ),
      );
    }
    throw error;
  }
}

async function list({ docker, identity }: Parts, poolId: PoolId): Promise<ListedWorker[]> {
  const filters = { label: [`${POOL_LABEL}=${poolId}`] };
  const containers = await identity.during(() =>
    answerOf(docker.listContainers({ all: true, filters })),
  );
  return containers.map((container) => ({
    containerId: container.Id,
    workerId: parseId<WorkerId>(container.Labels[WORKER_LABEL] ?? ''),
    isRunning: ['running', 'paused', 'restarting'].includes(container.State),
  }));
}

async function inspect(parts: Parts, containerId: string): Promise<InspectedWorker | null> {
  const { docker, identity } = parts;
  const found = await identity.during(() =>
    unlessGone(answerOf(docker.getContainer(containerId).inspect())),
  );
  if (found === null) return null;
  const { Id, Config, State } = found;
  return {
    containerId: Id,
    workerId: parseId<WorkerId>(Config.Labels[WORKER_LABEL] ?? ''),
    isRunning: State.Running,
    end: State.Running ? null : await endOf(parts, State),
  };
}

type State = Docker.ContainerInspectInfo['State'];

async function endOf({ identity, outages }: Parts, state: State): Promise<ContainerEnd> {
  const { ExitCode: exitCode, OOMKilled, StartedAt, FinishedAt } = state;
  if (OOMKilled) return { reason: 'oom', exitCode };
  const wasMachine = Date.parse(StartedAt) < Date.now() - uptime() * 1_000;
  const { keepsContainers } = await identity.confirmed();
  const wasEngine = outages.covers(new Date(FinishedAt)) && !keepsContainers;
  return { reason: wasMachine || wasEngine ? 'engine-restarted' : 'exited', exitCode };
}

async function setCpuShare(
  { docker, identity, ociRuntime }: Parts,
  containerId: string,
  share: CpuShare,
): Promise<void> {
  // runsc cannot change the share of a running sandbox.
  if (isGvisor(ociRuntime)) return;
  const update = { CpuShares: CPU_SHARES[share] };
  await identity.during(() =>
    unlessGone(answerOf(docker.getContainer(containerId).update(update))),
  );
}

async function remove(parts: Parts, worker: WorkerParts): Promise<void> {
  const { docker, identity, socketDir } = parts;
  const { poolId, workerId, containerId } = worker;
  if (containerId !== null) {
    await identity.during(() => removeContainer(docker, containerId));
  }
  if (workerId !== null) await removeSocketFolder(socketFolder(socketDir, { poolId, workerId }));
}

/** Resolves when the container is gone. 404: it was gone already. 409: it is being removed, so wait for that. */
async function removeContainer(docker: Docker, containerId: string): Promise<void> {
  const container = docker.getContainer(containerId);
  try {
    await answerOf(container.remove({ force: true, v: true }));
  } catch (error: unknown) {
    if (statusOf(error) === 404) return;
    if (statusOf(error) !== 409 || !/already in progress/.test(messageOf(error))) throw error;
    await untilRemoved(container);
  }
}

async function untilRemoved(container: Docker.Container): Promise<void> {
  await unlessGone(answerOf(container.wait({ condition: 'removed' })));
}

/** The answer about a container. Null: the engine has no such container. */
async function unlessGone<T>(answer: Promise<T>): Promise<T | null> {
  try {
    return await answer;
  } catch (error: unknown) {
    if (statusOf(error) === 404) return null;
    throw error;
  }
}

function watch(parts: Parts, poolId: PoolId, listener: RuntimeListener): { close(): void } {
  const { outages } = parts;
  return watchContainers(parts, poolId, {
    ...listener,
    onAway: (error) => {
      outages.began();
      listener.onAway(error);
    },
    onBack: () => {
      outages.ended();
      listener.onBack();
    },
  });
}
