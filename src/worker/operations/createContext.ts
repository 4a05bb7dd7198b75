import type { ContextId } from '../../domain/ids.ts';
import { durableOperation, type OperatedWorker } from './durableOperation.ts';
import { endContext } from './endContext.ts';
import { mayPass } from './mayPass.ts';

/** Makes the context that was created. The agent reports on the channel, too, what became of it. */
export const createContext = durableOperation({
  request: 'ContextCreated',
  answer: { type: 'ContextStarted', answers: 'all' },
  carryOut: async (worker, { event, metadata: { eventId } }) => {
    const { contextId, workingDirectory } = event.data;
    // Its deletion ends it, whether it was made or not. One that has failed is not made again.
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

/** Without the deletion, a request that comes late would make the context after all. */
async function fail(worker: OperatedWorker, contextId: ContextId, requestId: string) {
  await worker.call('delete_context', { contextId, requestId });
  await endContext(worker, contextId, { reason: 'failed', requestId });
}
