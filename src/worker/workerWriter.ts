import type { AgentLink } from './agentLink.ts';
import type { WorkerContexts } from './contexts/workerContexts.ts';
import type { Finishing } from './finishing.ts';
import type { HeldWorkerDeps, TakenOver } from './heldWorker.ts';
import type { Lanes } from './lanes/lanes.ts';
import { addStopped } from './storing/addStopped.ts';
import { reloadSegments } from './storing/reloadSegments.ts';
import { createWriter, type Writer } from './storing/writer.ts';
import type { WorkerSession } from './workerSession.ts';

export interface WorkerWriterDeps extends HeldWorkerDeps {
  readonly session: WorkerSession;
  readonly contexts: WorkerContexts;
  readonly lanes: Lanes;
  /** A function, because the link is created after the writer. */
  readonly link: () => AgentLink;
  readonly takeOut: Finishing['takeOut'];
  readonly onLost: () => void;
}

/**
 * The writer of one worker. It stores the cursor with each commit, and then acknowledges the stored messages to the
 * agent.
 */
export function createWorkerWriter(
  {
    store,
    logger,
    followers,
    session,
    contexts,
    lanes,
    link,
    takeOut,
    onLost,
    ...reading
  }: WorkerWriterDeps,
  { workerId, cursor: { epoch, seq: storedSeq } }: TakenOver,
): Writer {
  const stopping = {
    lanes,
    takeOut,
    readUnfinished: () => reading.unfinishedOf(workerId),
    next: () => writer.batch,
    now: reading.now,
  };
  const writer = createWriter(
    {
      store,
      logger,
      stored: () => ({ session: session.state, context: contexts.get }),
      addStopped: (batch) => addStopped(stopping, batch),
      cursor: () => ({ workerId, epoch, bootId: link().bootId, progress: lanes.progress }),
      reload: async ({ segments, contextFacts }) => {
        await reloadSegments(reading, segments);
        await session.reload();
        await contexts.reload([...new Set(contextFacts.map(({ contextId }) => contextId))]);
      },
      onStored: ({ seq, session: stored, contexts: changed }) => {
        if (stored !== null) session.put(stored);
        for (const context of changed) contexts.put(context);
        if (seq !== null) link().ack(seq);
      },
      onFenced: onLost,
      followers: () => Math.max(0, ...lanes.running().map(({ execution }) => followers(execution))),
      holdBack: (isHeld) => (isHeld ? link().pause() : link().resume()),
    },
    storedSeq,
  );
  return writer;
}
