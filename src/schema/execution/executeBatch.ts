/** `executeBatch`: several cells in one call. */
import { builder } from '../builder.ts';
import { EnvironmentVariableInput } from '../session/environmentVariable.ts';
import { Execution } from './execution.ts';
import { Language } from './language.ts';
import { TerminalInput } from './terminal.ts';

const BatchCell = builder.inputType('BatchCell', {
  description: 'One cell of a batch.',
  fields: (t) => ({
    code: t.string({ required: true, description: 'As in ExecuteInput.' }),
    language: t.field({
      type: Language,
      defaultValue: 'PYTHON',
      description: 'As in ExecuteInput. Cells may differ in it.',
    }),
    contextId: t.id({ description: 'As in ExecuteInput. Cells may differ in it.' }),
    keepAlive: t.boolean({ defaultValue: false, description: 'As in ExecuteInput.' }),
    environmentVariables: t.field({
      type: [EnvironmentVariableInput],
      description: 'As in ExecuteInput. Cells may differ in them.',
    }),
    workingDirectory: t.string({ description: 'As in ExecuteInput. Cells may differ in it.' }),
    allowInput: t.boolean({ defaultValue: false, description: 'As in ExecuteInput.' }),
    pty: t.field({ type: TerminalInput, description: 'As in ExecuteInput.' }),
    timeoutMs: t.int({ description: 'As in ExecuteInput.' }),
    idempotencyKey: t.string({ description: 'As in ExecuteInput. Each cell has its own key.' }),
  }),
});

const ExecuteBatchInput = builder.inputType('ExecuteBatchInput', {
  description: 'Cells to run in order for one user.',
  fields: (t) => ({
    userUuid: t.string({ required: true, description: 'As in ExecuteInput.' }),
    cells: t.field({ type: [BatchCell], required: true, description: '1 to 64 cells.' }),
    stopOnError: t.boolean({
      defaultValue: true,
      description:
        'Whether the batch ends with the first cell whose status is not OK. Even if false, no cell is run once the session of the first cell has ended, for example by `release`.',
    }),
    waitForWorkerMs: t.int({ description: 'As in ExecuteInput.' }),
  }),
});

builder.mutationField('executeBatch', (t) =>
  t.field({
    type: [Execution],
    description:
      'Runs cells one after the other, all in the same session. Answers when the last has ended, with the executions of all cells that were run. Other calls of the user may run between two cells. If the call is sent again with the same keys, it continues where it was. If a cell is refused, the error has its index (`cell`) and the `executionIds` of the cells that were run before it.',
    args: {
      input: t.arg({ type: ExecuteBatchInput, required: true, description: 'What to run.' }),
    },
    resolve: (_root, { input }, { service, principal }) => service.executeBatch(principal, input),
  }),
);
