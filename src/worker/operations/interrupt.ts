import type { ExecutionId } from '../../domain/ids.ts';
import { durableOperation } from './durableOperation.ts';

/** Cancels a queued execution, or interrupts a running one. */
export const interrupt = durableOperation({
  request: 'InterruptRequested',
  answer: { type: 'ExecutionFinished', answers: 'all' },
  carryOut: async (worker, { streamId, metadata, event }) => {
    const { lanes } = worker;
    const id = streamId as ExecutionId;
    const job = lanes.find(id);
    if (!job) return;
    // Neither this gateway nor the former holder has sent the code.
    if (!job.isTakenOver && lanes.progressOf(job) === null) return worker.cancel(job);
    const { signal } = event.data;
    const { known } = await worker.call('interrupt', {
      msgId: id,
      requestId: metadata.eventId,
      ...(signal !== undefined && { signal }),
    });
    const isUnsent = worker.endHoldBack(id) || lanes.progressOf(job) === null;
    if (!known && isUnsent && worker.isActing && lanes.find(id)) worker.cancel(job);
  },
});
