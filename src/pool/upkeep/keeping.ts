/** Keeps the pool in order: notices deaths, takes over orphaned workers, and sweeps at the start and on a timer. */
import type { Logger } from 'pino';
import type { Config } from '../../config/config.ts';
import type { WorkerId } from '../../domain/ids.ts';
import type { RuntimeListener } from '../../runtime/runtime.ts';
import { createBackground } from '../background.ts';
import { carryOutEnd, type EndWorkerDeps, recordEnd } from '../endWorker.ts';
import type { Supply } from '../supply/supply.ts';
import type { WorkerMaking } from '../supply/workerMaking.ts';
import {
  adoptLive,
  createOrphanAdoption,
  createWorkerDeaths,
  type ReconcileDeps,
  reconcile,
  reconcileWorker,
} from './reconcile.ts';
import { createUpkeep } from './upkeep.ts';

export interface KeepingDeps extends EndWorkerDeps {
  readonly config: Config;
  readonly making: WorkerMaking;
  readonly supply: Pick<Supply, 'workerIdle' | 'workerMissing' | 'engineAway' | 'engineBack'>;
  /** Aborted when the pool closes. */
  readonly closing: AbortSignal;
  readonly logger: Logger;
}

export interface Keeping {
  readonly isKeeper: boolean;
  /**
   * Makes this gateway sweep within half a second, if it is the keeper. Call this when the engine may have failed to
   * report deaths.
   */
  sweepSoon(): void;
  /** Call this when a worker's agent does not answer. */
  suspect(workerId: WorkerId, why: string): void;
  /** Receives the engine's events. */
  readonly engineListener: RuntimeListener;
  /**
   * Resolves when all live workers are adopted. The next sweep handles workers that could not be reconciled.
   * @param isEngineAway whether to adopt without the engine. Then the next sweep follows when the engine is back
   */
  start(isEngineAway: boolean): Promise<void>;
  close(): Promise<void>;
}

export function createKeeping(deps: KeepingDeps): Keeping {
  const { making, supply, logger } = deps;
  const inBackground = createBackground(logger);
  const watching = { ...deps, isInTheMaking: making.isUnderWay };
  const deaths = createWorkerDeaths(watching);
  const reconciling: ReconcileDeps = {
    ...watching,
    // Runs in the background, because a sweep must not wait for the start of one worker.
    bringUp: (worker) => inBackground(making.bringUpFound(worker, deps.closing)),
  };
  const upkeep = createUpkeep({
    ...deps.config,
    ...deps,
    adoptOrphans: createOrphanAdoption({
      ...watching,
      inBackground,
      reconcile: (worker) => reconcileWorker(reconciling, worker, null),
    }),
    sweep: () => reconcile(reconciling),
    recordEnd: (workerId, reason, condition) =>
      recordEnd(deps, workerId, { type: 'RetireWorker', reason, condition }),
    carryOutEnd: (workerId) => carryOutEnd(deps, workerId),
    onRound: () => {
      supply.workerIdle();
      supply.workerMissing();
    },
  });
  return {
    get isKeeper() {
      return upkeep.isKeeper;
    },
    sweepSoon: upkeep.sweepSoon,
    suspect: (workerId, why) => inBackground(deaths.suspect(workerId, why)),
    engineListener: {
      onEnd: (id, exitCode) => {
        making.containerEnded(id, exitCode);
        inBackground(deaths.containerEnded(id, exitCode));
      },
      onAway: ({ kind }) => supply.engineAway(kind),
      onBack: () => {
        upkeep.sweepSoon();
        supply.engineBack();
      },
    },
    start: async (isEngineAway) => {
      await upkeep.start();
      // Otherwise `poolStatus` would report the outage only after opening the event stream has failed.
      if (isEngineAway) supply.engineAway('engine-away');
      const settled = isEngineAway ? adoptLive(deps) : reconcile(reconciling);
      // A worker that cannot be reconciled must not keep the gateway from serving the others.
      await settled.catch((error: unknown) => {
        const message = 'not all workers could be reconciled; the next sweep tries again';
        logger.error({ err: error }, message);
        upkeep.sweepSoon();
      });
    },
    close: upkeep.close,
  };
}
