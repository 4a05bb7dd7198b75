import type { ContextId } from '../../domain/ids.ts';
import { durableOperation, type OperatedWorker } from './durableOperation.ts';
import { endContext } from './endContext.ts';
import { mayPass } from './mayPass.ts';

/** Creates the recorded context in the worker. The agent reports the outcome on the channel, too. */
export const createContext = durableOperation({
  request: 'ContextCreated',
  answer: { type: 'ContextStarted', answers: 'all' },
  carryOut: async (worker, { event, metadata: { eventId } }) => {
    const { contextId, workingDirectory } = event.data;
    // If the context is being deleted, its deletion ends it, whether it was created or not. A failed context is not
    // created again.
    if (!isStarting(worker, contextId)) return;
    try {
      await worker.call('contexts', { contextId, workingDirectory });
      worker.contextNews.ready(contextId, worker.now().getTime());
    } catch (error: unknown) {
      if (!isStarting(worker, contextId)) return;
      if (mayPass(error)) throw error;
      await fail(worker, contextId, eventId);
    }
  },
});

function isStarting({ contexts }: OperatedWorker, id: ContextId): boolean {
  return contexts.isOpen(id) && contexts.get(id)?.status === 'STARTING';
}

/** Deletes the context before it records the failure. Otherwise, a late request could still create the context. */
async function fail(worker: OperatedWorker, contextId: ContextId, requestId: string) {
  await worker.call('delete_context', { contextId, requestId });
  await endContext(worker, contextId, { reason: 'failed', requestId });
}
