import { builder } from '../builder.ts';

export const ExecutionStatus = builder.enumType('ExecutionStatus', {
  description: 'Whether an execution is queued or running, or how it ended.',
  values: {
    QUEUED: {
      description:
        'Accepted. It runs after those before it in its context. A command runs as soon as one of MAX_COMMANDS places is free.',
    },
    RUNNING: { description: 'The kernel has started it, or the command has begun.' },
    OK: { description: 'The code ended without an exception, or the command with exit code 0.' },
    ERROR: {
      description:
        'The code ended with an exception, the kernel died, or the command ended in another way than with exit code 0. See `error`.',
    },
    TIMEOUT: { description: 'It reached its time limit, however the code reacted to that.' },
    INTERRUPTED: {
      description: '`interrupt`, `restartKernel` or `deleteContext` ended it while it ran.',
    },
    WORKER_LOST: { description: 'Its container was lost.' },
    CANCELLED: {
      description:
        'It was interrupted while queued, its session or context ended before it did, or an execution before it with `stopOnError` did not end OK.',
    },
  } as const,
});
