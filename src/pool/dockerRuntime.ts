/** Workers as containers of a local Docker engine. */
import { chmod, mkdir, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import Docker from 'dockerode';
import type { Logger } from 'pino';
import { messageOf } from '../errors.ts';
import { type PoolId, parseId, type WorkerId } from '../ids.ts';
import { containerSpec, POOL_LABEL, WORKER_LABEL } from './containerSpec.ts';
import { watchContainers } from './dockerEvents.ts';
import type { RunningWorker, Runtime, WorkerSpec } from './runtime.ts';

/** An engine that has not answered one call by then is taken for away. Creating and killing take well under a second. */
const ENGINE_CALL_TIMEOUT_MS = 30_000;

export interface DockerRuntimeDeps {
  readonly socketPath: string;
  /** DOCKER_RUNTIME: `runc`, `runsc`. */
  readonly ociRuntime: string;
  readonly logger: Logger;
}

export function createDockerRuntime(deps: DockerRuntimeDeps): Runtime {
  const docker = new Docker({ socketPath: deps.socketPath, timeout: ENGINE_CALL_TIMEOUT_MS });
  return {
    name: `docker/${deps.ociRuntime}`,
    engineId: async () => ((await docker.info()) as { ID: string }).ID,
    imageId: (reference) => imageId(docker, reference),
    create: (spec) => create(docker, spec, deps.ociRuntime),
    list: (poolId) => list(docker, poolId),
    inspect: (containerId) => inspect(docker, containerId),
    remove: (containerId) => remove(docker, containerId),
    watch: (poolId, onEnd, onGap) =>
      watchContainers({ socketPath: deps.socketPath, logger: deps.logger }, poolId, onEnd, onGap),
  };
}

async function imageId(docker: Docker, reference: string): Promise<string> {
  try {
    return (await docker.getImage(reference).inspect()).Id;
  } catch (cause: unknown) {
    if (statusOf(cause) !== 404) throw cause;
    throw new Error(
      `The worker image ${reference} does not exist on this Docker engine. Build it: npm start does.`,
      { cause },
    );
  }
}

async function create(docker: Docker, spec: WorkerSpec, ociRuntime: string): Promise<string> {
  await makeSocketDir(spec.socketDir);
  try {
    const container = await docker.createContainer(containerSpec(spec, ociRuntime));
    try {
      await container.start();
      return container.id;
    } catch (error: unknown) {
      await remove(docker, container.id);
      throw error;
    }
  } catch (error: unknown) {
    await rm(spec.socketDir, { recursive: true, force: true });
    throw error;
  }
}

/**
 * The pool's folder is closed to everybody else on the host; the worker's own is open, because its agent runs under a uid
 * that the gateway may not be able to give folders to.
 */
async function makeSocketDir(socketDir: string): Promise<void> {
  const poolDir = dirname(socketDir);
  await mkdir(poolDir, { recursive: true, mode: 0o700 });
  await chmod(poolDir, 0o700);
  await mkdir(socketDir, { recursive: true });
  await chmod(socketDir, 0o777);
}

async function list(docker: Docker, poolId: PoolId): Promise<RunningWorker[]> {
  const containers = await docker.listContainers({
    all: true,
    filters: { label: [`${POOL_LABEL}=${poolId}`] },
  });
  return containers.map((container) => ({
    containerId: container.Id,
    workerId: parseId<WorkerId>(container.Labels[WORKER_LABEL] ?? ''),
    isRunning: ['running', 'paused', 'restarting'].includes(container.State),
    exitCode: null,
    wasOutOfMemory: false,
  }));
}

async function inspect(docker: Docker, containerId: string): Promise<RunningWorker | null> {
  try {
    const { Id, Config, State } = await docker.getContainer(containerId).inspect();
    return {
      containerId: Id,
      workerId: parseId<WorkerId>(Config.Labels[WORKER_LABEL] ?? ''),
      isRunning: State.Running,
      exitCode: State.Running ? null : State.ExitCode,
      wasOutOfMemory: State.OOMKilled,
    };
  } catch (error: unknown) {
    if (statusOf(error) === 404) return null;
    throw error;
  }
}

/** 404: gone already. 409: its removal is under way, which is as good. */
async function remove(docker: Docker, containerId: string): Promise<void> {
  try {
    await docker.getContainer(containerId).remove({ force: true, v: true });
  } catch (error: unknown) {
    if (statusOf(error) === 404) return;
    if (statusOf(error) === 409 && /already in progress/.test(messageOf(error))) return;
    throw error;
  }
}

function statusOf(error: unknown): number | null {
  return error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number'
    ? error.statusCode
    : null;
}
