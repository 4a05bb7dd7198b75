/** `executeBatch`: several cells in one call. */
import { builder } from '../builder.ts';
import { Execution } from './execution.ts';

const BatchCell = builder.inputType('BatchCell', {
  description: 'One cell of a batch.',
  fields: (t) => ({
    code: t.string({ required: true, description: 'As in ExecuteInput.' }),
    timeoutMs: t.int({ description: 'As in ExecuteInput.' }),
    idempotencyKey: t.string({ description: 'As in ExecuteInput; each cell has its own.' }),
  }),
});

const ExecuteBatchInput = builder.inputType('ExecuteBatchInput', {
  description: 'Cells of one user, to be run in order.',
  fields: (t) => ({
    userUuid: t.string({ required: true, description: 'As in ExecuteInput.' }),
    cells: t.field({ type: [BatchCell], required: true, description: '1 to 64 cells.' }),
    stopOnError: t.boolean({
      defaultValue: true,
      description:
        'Whether the first cell that does not end with OK is the last that is run. Whatever it says, the batch ends with its session: nothing is run after a release or WORKER_LOST.',
    }),
    waitForWorkerMs: t.int({ description: 'As in ExecuteInput.' }),
  }),
});

builder.mutationField('executeBatch', (t) =>
  t.field({
    type: [Execution],
    description:
      'Runs cells one after the other, all in the session of the first, and answers when the last has ended, with those that were run. Other calls of the user may run in between. Sent again with the same keys, it goes on where it was. An error names the `cell` that was refused and the `executionIds` of those before it.',
    args: {
      input: t.arg({ type: ExecuteBatchInput, required: true, description: 'What to run.' }),
    },
    resolve: (_root, { input }, { service, principal }) => service.executeBatch(principal, input),
  }),
);
