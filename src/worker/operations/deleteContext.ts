import type { ContextId } from '../../domain/ids.ts';
import { durableOperation } from './durableOperation.ts';
import { endContext } from './endContext.ts';

/** Ends the context. The agent reports the end of the context and of its executions on the channel, too. */
export const deleteContext = durableOperation({
  request: 'ContextDeleteRequested',
  answer: { type: 'ContextEnded', answers: 'all' },
  carryOut: async (worker, { streamId, metadata: { eventId: requestId } }) => {
    const contextId = streamId as ContextId;
    await worker.call('delete_context', { contextId, requestId });
    await endContext(worker, contextId, { reason: 'deleted', requestId });
  },
});
