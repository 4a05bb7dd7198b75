import type { Context } from '../../domain/context.ts';
import type { ContextId } from '../../domain/ids.ts';
import { refusalCode } from '../../kernel/channel/kernelErrors.ts';
import { durableOperation, type OperatedWorker } from './durableOperation.ts';
import { mayPass } from './mayPass.ts';

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
      // The agent has reported that the old kernel is gone, but it could not start a new one. The next request for the
      // context tries again.
      if (code === 'no_kernel') return;
      const context = worker.contexts.get(contextId);
      if (code !== 'no_context') throw error;
      if (!context || context.status === 'ENDING') return;
      await makeAgain(worker, context);
    }
  },
});

/** Starts a kernel for a context that has none, because an earlier start failed. */
async function makeAgain(
  worker: OperatedWorker,
  { id: contextId, workingDirectory }: Context,
): Promise<void> {
  try {
    await worker.call('contexts', { contextId, workingDirectory });
  } catch (error: unknown) {
    // If this start fails, too, for example because the folder is gone, the next execution tries again.
    if (mayPass(error)) throw error;
  }
  worker.contextNews.kernelReplaced(contextId, { at: worker.now().getTime(), reason: 'user' });
}
