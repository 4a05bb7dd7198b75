import { durableOperation } from './durableOperation.ts';

/** Replaces the kernel of the default context. Two simultaneous requests may be answered by one new kernel. */
export const restartKernel = durableOperation({
  request: 'KernelRestartRequested',
  answer: { type: 'KernelRestarted', data: { reason: 'user' }, answers: 'at-least-one' },
  carryOut: async ({ call }, { metadata }) => {
    await call('restart', { requestId: metadata.eventId });
  },
});
