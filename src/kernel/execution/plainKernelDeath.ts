import type { KernelMessage, ReplyMessage } from '../frames/messages.ts';

/**
 * Whether a message says that the kernel of a plain Jupyter Server died, which then says no more. Our agent (its messages have
 * a seq) goes on to send a reply.
 */
export function isPlainKernelDeath(message: KernelMessage): boolean {
  return (
    message.type === 'status' &&
    message.seq === null &&
    message.parentId === null &&
    (message.state === 'restarting' || message.state === 'dead')
  );
}

/** The reply that will not come. */
export function kernelDiedReply({ at }: KernelMessage): ReplyMessage {
  return {
    type: 'reply',
    seq: null,
    at,
    parentId: null,
    status: 'error',
    executionCount: null,
    error: { name: 'KernelDied', value: 'The kernel died.', traceback: [] },
    verdict: {
      outcome: 'kernel_died',
      stateLost: true,
      startedAt: null,
      finishedAt: null,
      cpuMs: null,
      peakMemoryBytes: null,
      outputBytes: null,
      droppedBytes: 0,
      exitCode: null,
    },
  };
}
