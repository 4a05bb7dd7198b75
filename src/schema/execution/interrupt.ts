/** `interrupt`, which ends an execution. */
import { builder } from '../builder.ts';
import { Execution } from './execution.ts';

builder.mutationField('interrupt', (t) =>
  t.field({
    type: Execution,
    description:
      'Interrupts a queued or running execution, and waits until it has ended, for at most INTERRUPT_GRACE_MS and 4 s. The session keeps its variables. The returned status shows the result: INTERRUPTED if it was running, CANCELLED if it was queued, its former status if it had already ended, or RUNNING if a cell ignores the interrupt (`restartKernel` with its context then ends it). A command that ignores it is killed after INTERRUPT_GRACE_MS. Repeating the call does no harm.',
    args: { executionId: t.arg.id({ required: true, description: 'The execution.' }) },
    resolve: (_root, { executionId }, { service, principal }) =>
      service.interrupt(principal, executionId),
  }),
);
