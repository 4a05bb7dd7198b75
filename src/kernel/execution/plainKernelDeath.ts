import type { KernelMessage, ReplyMessage } from '../frames/messages.ts';

/**
 * Whether a message reports the death of a plain Jupyter Server's kernel, after which no reply follows. Our agent,
 * whose messages have a seq, still sends a reply.
 */
export function isPlainKernelDeath(message: KernelMessage): boolean {
  return (
    message.type === 'status' &&
    message.seq === null &&
    message.parentId === null &&
    (message.state === 'restarting' || message.state === 'dead')
  );
}

/** A reply in place of the one that will not come. */
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
