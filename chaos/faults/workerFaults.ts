/** Faults of a worker's container, its agent and its kernel. */
import { messageOf } from '../../src/domain/errors.ts';
import { signal } from '../../src/postgres/server.ts';
import { containerProcesses } from '../world/containerProcesses.ts';
import {
  type Candidate,
  type FaultKind,
  NOTHING_TO_HEAL,
  type Scene,
  type Strike,
} from './fault.ts';

/**
 * Up to the time after which the gateway drops a silent connection (6 to 8 s). It gives up the worker as unreachable
 * only if reconnecting then fails for another 10 s.
 */
const PAUSED_MS = [200, 8_000] as const;

type Container = ReturnType<Scene['world']['engine']['docker']['getContainer']>;

export const workerFaults: readonly FaultKind[] = [
  {
    name: 'container: removed',
    weight: 5,
    candidates: byEngine(async (container) => {
      await container.remove({ force: true });
      return NOTHING_TO_HEAL;
    }),
  },
  {
    name: 'container: killed',
    weight: 5,
    candidates: byEngine(async (container) => {
      await container.kill();
      return NOTHING_TO_HEAL;
    }),
  },
  {
    name: 'container: paused',
    weight: 6,
    candidates: byEngine(async (container, { random }) => {
      if ((await orRefused(container.pause())) === null) return null;
      // If the worker was given up meanwhile, its container is gone.
      const heal = async () => void (await orRefused(container.unpause()));
      return { holdMs: random.between(...PAUSED_MS), heal };
    }),
  },
  {
    name: 'kernel: kill -9',
    weight: 9,
    // Kills all kernels and commands of the worker, and all that they have started.
    candidates: byProcess(({ ofUser }) => {
      for (const pid of ofUser) signal(pid, 'SIGKILL');
      return ofUser.length > 0 ? NOTHING_TO_HEAL : null;
    }),
  },
  {
    name: 'reaper: kill -9',
    weight: 3,
    candidates: byProcess(({ reapers }, { random }) => killOne(random.pick(reapers))),
  },
  {
    // Kills the spawner, the helper for files, a command's reaper, or the process that waits for the next command.
    name: 'helper: kill -9',
    weight: 4,
    candidates: byProcess(({ helpers, others }, { random }) =>
      killOne(random.pick([...helpers, ...others])),
    ),
  },
  {
    name: 'fork server: kill -9',
    weight: 3,
    candidates: byProcess(({ forkServer }) => killOne(forkServer)),
  },
  {
    name: 'agent: kill -9',
    weight: 4,
    candidates: byProcess(({ agent }) => killOne(agent)),
  },
  {
    name: 'agent: SIGSTOP, SIGCONT',
    weight: 4,
    candidates: byProcess(({ agent }, { random }) => {
      if (agent === null || !signal(agent, 'SIGSTOP')) return null;
      const heal = async () => void signal(agent, 'SIGCONT');
      return { holdMs: random.between(...PAUSED_MS), heal };
    }),
  },
];

function killOne(pid: number | null | undefined): Strike | null {
  return pid != null && signal(pid, 'SIGKILL') ? NOTHING_TO_HEAL : null;
}

function byEngine(strike: (container: Container, scene: Scene) => Promise<Strike | null>) {
  return (scene: Scene): Candidate[] =>
    scene.workers.map(({ workerId, containerId }) => ({
      resource: `worker ${workerId}`,
      needs: 'engine',
      on: { workerId },
      strike: () => orRefused(strike(scene.world.engine.docker.getContainer(containerId), scene)),
    }));
}

function byProcess(
  strike: (processes: ReturnType<typeof containerProcesses>, scene: Scene) => Strike | null,
) {
  return (scene: Scene): Candidate[] =>
    scene.workers.map(({ workerId, containerId }) => ({
      resource: `worker ${workerId}`,
      on: { workerId },
      strike: async () => strike(containerProcesses(containerId), scene),
    }));
}

/**
 * Null if the engine refuses the call for one of these reasons. 404: the container is gone. 409: it has ended, or is
 * being removed. 500: the container has ended, but the engine has not noticed yet; or runc cannot freeze the container
 * because it keeps forking (runc then thaws it); or the engine was killed while it paused the container, and does not
 * know now that the container is paused.
 */
async function orRefused<T>(work: Promise<T>): Promise<T | null> {
  try {
    return await work;
  } catch (error: unknown) {
    const status = error instanceof Error && 'statusCode' in error ? error.statusCode : null;
    if (status === 404 || status === 409) return null;
    if (status === 500 && /container not (running|paused)|unable to freeze/.test(messageOf(error)))
      return null;
    throw error;
  }
}
