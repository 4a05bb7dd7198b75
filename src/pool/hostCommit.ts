/** Turns what a host gathered into one commit of the event store. Pure. */
import type { Commit, OutputItem, StreamAppend } from '../events/eventStore.ts';
import type { Session } from '../events/states.ts';
import { decideExecution } from './executionDecider.ts';
import type { HostBatch, Segment } from './hostBatch.ts';
import { decideSession } from './sessionDecider.ts';

/** @param session the worker's session as last stored; null for a worker that has none yet. */
export function hostCommit(batch: HostBatch, session: Session | null): Commit {
  const streams: StreamAppend[] = batch.segments.map(executionAppend).filter(hasEvents);
  if (session !== null) streams.push(...[sessionAppend(batch, session)].filter(hasEvents));
  return { streams, outputs: batch.segments.flatMap(outputItems) };
}

function executionAppend({ job, startedAt, end }: Segment): StreamAppend {
  const { execution } = job;
  const started = startedAt?.toISOString() ?? null;
  const events =
    end !== null
      ? decideExecution(
          {
            type: 'FinishExecution',
            at: end.at.toISOString(),
            startedAt: started,
            ending: end.ending,
          },
          execution,
        )
      : started !== null
        ? decideExecution({ type: 'RecordStart', at: started }, execution)
        : [];
  return { stream: 'execution', id: execution.id, state: execution, events };
}

function sessionAppend(batch: HostBatch, session: Session): StreamAppend {
  const events = batch.kernelRestarts.flatMap(({ at, reason, executionId }) =>
    decideSession(
      { type: 'RecordKernelRestart', at: at.toISOString(), reason, executionId },
      session,
    ),
  );
  return { stream: 'session', id: session.id, state: session, events };
}

function hasEvents(append: StreamAppend): boolean {
  return append.events.length > 0;
}

/** Numbers follow the job's; the finish is the last. An execution that somebody else ended already gets no more. */
function outputItems({ job, outputs, end }: Segment): OutputItem[] {
  if (job.execution.finishedAt !== null) return [];
  const executionId = job.execution.id;
  const items: OutputItem[] = outputs.map(({ output, at }, index) => ({
    executionId,
    seq: job.nextSeq + index,
    at,
    output,
  }));
  if (end === null) return items;
  const seq = job.nextSeq + items.length;
  return [...items, { executionId, seq, at: end.at, output: { kind: 'finish' } }];
}
