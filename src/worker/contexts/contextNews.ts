/** Handles changes of contexts, and adds their effects to the next commit. */
import type { ContextCommand, ContextEndReason } from '../../domain/context.ts';
import type { ContextId } from '../../domain/ids.ts';
import type { ContextMessage, StatusMessage } from '../../kernel/frames/messages.ts';
import type { Finishing } from '../finishing.ts';
import type { Lanes } from '../lanes/lanes.ts';
import type { Sending } from '../sending.ts';
import type { Writer } from '../storing/writer.ts';
import type { WorkerContexts } from './workerContexts.ts';

export interface ContextNewsDeps {
  readonly contexts: WorkerContexts;
  readonly lanes: Lanes;
  readonly writer: Pick<Writer, 'batch' | 'added'>;
  readonly sending: Pick<Sending, 'goOnIn'>;
  readonly finishing: Pick<Finishing, 'endLane'>;
}

export interface ContextNews {
  /**
   * Handles a message of the agent about a context. If the context has ended or was never requested, the message is
   * ignored.
   */
  receive(message: ContextMessage): void;
  /** The context's kernel is ready. */
  ready(id: ContextId, at: number): void;
  /** The context's kernel is being replaced. */
  kernelReplaced(id: ContextId, news: Pick<StatusMessage, 'at' | 'reason'>): void;
  /** The context has ended. Its unfinished executions end as CANCELLED, because the agent will not run them. */
  ended(id: ContextId, reason: ContextEndReason, at: Date): void;
}

export function createContextNews(deps: ContextNewsDeps): ContextNews {
  const { contexts, lanes, writer, sending, finishing } = deps;

  function record(contextId: ContextId, command: ContextCommand): void {
    writer.batch.contextFacts.push({ contextId, command });
    writer.added('end');
  }

  function ready(contextId: ContextId, at: number): void {
    const context = contexts.get(contextId);
    if (!context || contexts.isReady(contextId)) return;
    contexts.nowReady(contextId);
    const readyMs = Math.max(0, at - context.createdAt.getTime());
    record(contextId, { type: 'RecordContextStart', at: new Date(at).toISOString(), readyMs });
    const lane = lanes.at(contextId);
    if (lane) sending.goOnIn(lane);
  }

  function ended(contextId: ContextId, reason: ContextEndReason, at: Date): void {
    contexts.nowEnded(contextId);
    finishing.endLane(contextId);
    record(contextId, { type: 'EndContext', at: at.toISOString(), reason });
  }

  return {
    receive: ({ contextId, state, at }) => {
      const context = contexts.get(contextId);
      if (!context) return;
      const { id, status } = context;
      switch (state) {
        case 'ready':
          return ready(id, at);
        case 'ended':
          return ended(id, status === 'ENDING' ? 'deleted' : 'failed', new Date(at));
        case 'failed':
          // A context that was ready stays open. Its executions report that there was no kernel, and the next one gets
          // a new kernel.
          if (status === 'STARTING' && !contexts.isReady(id)) ended(id, 'failed', new Date(at));
          return;
        default:
          return state satisfies never;
      }
    },
    ready,
    kernelReplaced: (contextId, { at, reason }) => {
      if (!contexts.get(contextId)) return;
      const executionId = lanes.made(contextId).kernelReplaced();
      record(contextId, {
        type: 'RecordContextRestart',
        at: new Date(at).toISOString(),
        reason: reason ?? 'died',
        executionId,
      });
    },
    ended,
  };
}
