import { durableOperation } from './durableOperation.ts';

/** Replaces the kernel. Two requests that came together may be answered by one fresh kernel. */
export const restartKernel = durableOperation({
  request: 'KernelRestartRequested',
  answer: { type: 'KernelRestarted', data: { reason: 'user' }, answers: 'at-least-one' },
  carryOut: async ({ call }, { metadata }) => {
    await call('restart', { requestId: metadata.eventId });
  },
});
