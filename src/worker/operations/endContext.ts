import type { ContextEndReason } from '../../domain/context.ts';
import type { ContextId } from '../../domain/ids.ts';
import type { OperatedWorker } from './durableOperation.ts';

/**
 * Records the end of a context that the agent does not have any more. The agent may have reported the end to a former
 * holder, or never had the context.
 * @throws Error if the agent has yet to report the end of an execution that began before the context's kernel was gone.
 * The operation is then tried again later
 */
export async function endContext(
  worker: OperatedWorker,
  contextId: ContextId,
  { reason, requestId }: { readonly reason: ContextEndReason; readonly requestId: string },
): Promise<void> {
  if (!worker.contexts.isOpen(contextId)) return;
  for (const job of worker.lanes.at(contextId)?.all() ?? []) {
    if (!job.isTakenOver && worker.lanes.progressOf(job) === null) continue;
    const { known } = await worker.call('interrupt', { msgId: job.execution.id, requestId });
    if (known && worker.lanes.find(job.execution.id))
      throw new Error('The agent has yet to report the end of an execution of this context.');
  }
  if (worker.contexts.isOpen(contextId)) worker.contextNews.ended(contextId, reason, worker.now());
}
