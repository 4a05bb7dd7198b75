import type { ContextId } from '../../domain/ids.ts';
import { refusalCode } from '../../kernel/channel/kernelErrors.ts';
import { durableOperation, type OperatedWorker } from './durableOperation.ts';
import { endContext } from './endContext.ts';

/** Refusals that pass. For all others, the context cannot be made. */
const MAY_PASS: ReadonlySet<string | null> = new Set([
  null,
  'internal',
  'busy',
  'unavailable',
  'timed_out',
]);

/** Makes the context that was created. The agent reports on the channel, too, what became of it. */
export const createContext = durableOperation({
  request: 'ContextCreated',
  answer: { type: 'ContextStarted', answers: 'all' },
  carryOut: async (worker, { event, metadata: { eventId } }) => {
    const { contextId, workingDirectory } = event.data;
    // Its deletion ends it, whether it was made or not.
    if (worker.contexts.get(contextId)?.status !== 'STARTING') return;
    try {
      await worker.call('contexts', { contextId, workingDirectory });
      worker.contextNews.ready(contextId, worker.now().getTime());
    } catch (error: unknown) {
      if (worker.contexts.get(contextId)?.status !== 'STARTING') return;
      if (MAY_PASS.has(refusalCode(error))) throw error;
      await fail(worker, contextId, eventId);
    }
  },
});

/** Without the deletion, a request that comes late would make the context after all. */
async function fail(worker: OperatedWorker, contextId: ContextId, requestId: string) {
  await worker.call('delete_context', { contextId, requestId });
  await endContext(worker, contextId, { reason: 'failed', requestId });
}
