/** Notices workers that ended by themselves, and ends their sessions and executions. */
import type { Logger } from 'pino';
import type { WorkerId } from '../../domain/ids.ts';
import { isLive, type Worker } from '../../domain/worker.ts';
import { isEngineAway } from '../../runtime/runtime.ts';
import { type EndWorkerDeps, endWorker, loseIfEnded, loss } from '../endWorker.ts';

export interface WorkerDeathsDeps extends EndWorkerDeps {
  readonly logger: Logger;
  /** Whether this process is making the worker. Its maker notices a death itself. */
  readonly isInTheMaking: (id: WorkerId) => boolean;
}

export interface WorkerDeaths {
  /**
   * Call this when the engine reports the end of a container. If the container belonged to a live worker, that worker
   * is lost. An engine that no longer takes calls is stopping, so it has ended the container itself.
   */
  containerEnded(containerId: string, exitCode: number | null): Promise<void>;
  /** Call this when a worker's agent does not answer. The worker is lost even if its container runs. */
  suspect(workerId: WorkerId, why: string): Promise<void>;
}

export function createWorkerDeaths(deps: WorkerDeathsDeps): WorkerDeaths {
  const { queries } = deps.database;

  async function loseEnded(worker: Worker): Promise<boolean> {
    const isLost = await loseIfEnded(deps, worker);
    if (isLost) deps.logger.warn({ workerId: worker.id }, 'a worker ended by itself');
    return isLost;
  }

  return {
    containerEnded: async (containerId, exitCode) => {
      const live = await queries.workersInStates(deps.poolId, ['STARTING', 'IDLE', 'ASSIGNED']);
      const worker = live.find((each) => each.containerId === containerId);
      if (!worker || deps.isInTheMaking(worker.id)) return;
      await loseEnded(worker).catch(async (error: unknown) => {
        if (!isEngineAway(error)) throw error;
        deps.logger.warn({ workerId: worker.id }, 'the engine stopped and ended a worker');
        await endWorker(
          deps,
          worker,
          loss('engine-restarted', 'The engine was stopped.', exitCode),
        );
      });
    },
    suspect: async (workerId, why) => {
      const worker = await queries.worker(workerId);
      if (!worker || !isLive(worker)) return;
      if (await loseEnded(worker)) return;
      deps.logger.error({ workerId, why }, 'a worker does not answer and is ended');
      await endWorker(deps, worker, loss('unreachable', why));
    },
  };
}
