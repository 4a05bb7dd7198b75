import type { ContextId } from '../../domain/ids.ts';
import { refusalCode } from '../../kernel/channel/kernelErrors.ts';
import { durableOperation } from './durableOperation.ts';

/** Replaces the kernel of a context. Two simultaneous requests may be answered by one new kernel. */
export const restartContext = durableOperation({
  request: 'ContextRestartRequested',
  answer: { type: 'ContextRestarted', data: { reason: 'user' }, answers: 'at-least-one' },
  carryOut: async (worker, { streamId, metadata: { eventId: requestId } }) => {
    const contextId = streamId as ContextId;
    try {
      await worker.call('restart', { requestId, contextId });
    } catch (error: unknown) {
      const code = refusalCode(error);
      // It was replaced, as the agent has reported. The next request for the context tries again to start a kernel.
      if (code === 'no_kernel') return;
      const context = worker.contexts.get(contextId);
      if (code !== 'no_context') throw error;
      if (!context || context.status === 'ENDING') return;
      // It has no kernel, because none could be started before. So it is made again.
      const { workingDirectory } = context;
      await worker.call('contexts', { contextId, workingDirectory });
      worker.contextNews.kernelReplaced(contextId, { at: worker.now().getTime(), reason: 'user' });
    }
  },
});
