import { createWorkerContexts, type WorkerContexts } from './contexts/workerContexts.ts';
import type { HeldWorkerDeps, TakenOver } from './heldWorker.ts';
import { DEFAULT_LANE } from './lanes/laneKey.ts';
import { createLanes, type Lanes } from './lanes/lanes.ts';
import { createWorkerSession, type WorkerSession } from './workerSession.ts';

/** The recorded state of one worker, kept up to date after the takeover. */
export interface Recorded {
  readonly session: WorkerSession;
  readonly contexts: WorkerContexts;
  readonly lanes: Lanes;
}

export function createRecorded(
  deps: Pick<HeldWorkerDeps, 'reloadSession' | 'reloadContexts' | 'laneOf'>,
  start: TakenOver,
): Recorded {
  const session = createWorkerSession(start.session, deps.reloadSession);
  const contexts = createWorkerContexts(start.contexts, deps.reloadContexts);
  const lanes = createLanes({
    ...start,
    laneOf: deps.laneOf,
    kernelRestartedAt: (lane) =>
      lane === DEFAULT_LANE ? session.kernelRestartedAt : contexts.kernelRestartedAt(lane),
  });
  return { session, contexts, lanes };
}
