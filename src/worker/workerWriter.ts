import type { AgentLink } from './agentLink.ts';
import type { HeldWorkerDeps, TakenOver } from './heldWorker.ts';
import type { Lanes } from './lanes/lanes.ts';
import { reloadSegments } from './storing/reloadSegments.ts';
import { createWriter, type Writer } from './storing/writer.ts';
import type { WorkerSession } from './workerSession.ts';

export interface WorkerWriterDeps extends HeldWorkerDeps {
  readonly session: WorkerSession;
  readonly lanes: Lanes;
  /** The link is made after the writer. */
  readonly link: () => AgentLink;
  readonly onLost: () => void;
}

/** The writer of one worker: it stores the cursor with everything, and acknowledges to the agent what is stored. */
export function createWorkerWriter(
  { store, logger, followers, session, lanes, link, onLost, ...reading }: WorkerWriterDeps,
  { workerId, cursor: { epoch, seq: storedSeq } }: TakenOver,
): Writer {
  return createWriter(
    {
      store,
      logger,
      session: () => session.state,
      cursor: () => ({ workerId, epoch, bootId: link().bootId, progress: lanes.progress }),
      reload: async (segments) => {
        await reloadSegments(reading, segments);
        await session.reload();
      },
      onStored: ({ seq, session: stored }) => {
        if (stored !== null) session.put(stored);
        if (seq !== null) link().ack(seq);
      },
      onFenced: onLost,
      followers: () => Math.max(0, ...lanes.running().map(({ execution }) => followers(execution))),
      holdBack: (isHeld) => (isHeld ? link().pause() : link().resume()),
    },
    storedSeq,
  );
}
