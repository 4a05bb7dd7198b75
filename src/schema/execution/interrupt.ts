/** `interrupt`, which ends an execution. */
import { builder } from '../builder.ts';
import { Execution } from './execution.ts';

const InterruptSignal = builder.enumType('InterruptSignal', {
  description: 'What the processes of a command get in place of SIGINT when it is interrupted.',
  values: {
    SIGTERM: { description: 'They are asked to end; SIGKILL follows after INTERRUPT_GRACE_MS.' },
    SIGKILL: { description: 'They all end at once.' },
  } as const,
});

builder.mutationField('interrupt', (t) =>
  t.field({
    type: Execution,
    description:
      'Interrupts a queued or running execution, and waits until it has ended, for at most INTERRUPT_GRACE_MS and 4 s. The session keeps its variables. The returned status shows the result: INTERRUPTED if it was running, CANCELLED if it was queued, its former status if it had already ended, or RUNNING if a cell ignores the interrupt (`restartKernel` with its context then ends it). A command that ignores it is killed after INTERRUPT_GRACE_MS, or at once with SIGKILL. Repeating the call does no harm.',
    args: {
      executionId: t.arg.id({ required: true, description: 'The execution.' }),
      signal: t.arg({
        type: InterruptSignal,
        description:
          'What the processes of a command get. Left out: SIGINT, the only one for a cell.',
      }),
    },
    resolve: (_root, { executionId, signal }, { service, principal }) =>
      service.interrupt(principal, executionId, signal ?? null),
  }),
);
