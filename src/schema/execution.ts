/** What can be asked of, and done to, executions. */
import type { Execution as ExecutionRow } from '../domain/execution.ts';
import type { ExecuteRequest } from '../service/service.ts';
import { builder } from './builder.ts';
import type { SchemaContext } from './context.ts';
import { Execution } from './executionType.ts';
import { unlessStopping } from './unlessStopping.ts';

const ExecuteInput = builder.inputType('ExecuteInput', {
  description: 'A piece of code for a user.',
  fields: (t) => ({
    userUuid: t.string({
      required: true,
      description:
        'The user: any non-empty string of at most 128 characters; a UUID is the advice.',
    }),
    code: t.string({
      required: true,
      description: 'Python, at least one character, at most MAX_CODE_BYTES in UTF-8.',
    }),
    timeoutMs: t.int({
      description:
        'The time limit, counted from when the kernel starts it. Default EXECUTION_TIMEOUT_MS, at most MAX_EXECUTION_TIMEOUT_MS.',
    }),
    idempotencyKey: t.string({
      description:
        'Per user: the same key joins or returns the same execution; other code under it is IDEMPOTENCY_CONFLICT.',
    }),
    waitForWorkerMs: t.int({
      description:
        'How long to wait for a worker, its creation included. Default WORKER_WAIT_TIMEOUT_MS.',
    }),
  }),
});

function run(
  how: 'execute' | 'submit',
  input: ExecuteRequest,
  { service, principal, stopping }: SchemaContext,
): Promise<ExecutionRow> {
  let isUnaccepted = true;
  const running = service[how](principal, input, () => {
    isUnaccepted = false;
  });
  const hasKey = typeof input.idempotencyKey === 'string';
  return unlessStopping(stopping, running, () => isUnaccepted || hasKey);
}

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

builder.queryField('execution', (t) =>
  t.field({
    type: Execution,
    nullable: true,
    description: 'An execution by its id; null if there is none.',
    args: { id: t.arg.id({ required: true, description: 'Its id.' }) },
    resolve: (_root, { id }, { service, principal }) => service.execution(principal, id),
  }),
);

builder.mutationFields((t) => ({
  execute: t.field({
    type: Execution,
    description:
      "Runs code in the user's session (opened if there is none) and answers when it has finished.",
    args: { input: t.arg({ type: ExecuteInput, required: true, description: 'What to run.' }) },
    resolve: (_root, { input }, context) => run('execute', input, context),
  }),
  executeBatch: t.field({
    type: [Execution],
    description:
      'Runs cells one after the other, all in the session of the first, and answers when the last has ended, with those that were run. Other calls of the user may run in between. Sent again with the same keys, it goes on where it was. An error names the `cell` that was refused and the `executionIds` of those before it.',
    args: {
      input: t.arg({ type: ExecuteBatchInput, required: true, description: 'What to run.' }),
    },
    resolve: (_root, { input }, { service, principal, stopping }) => {
      const batch = { ...input, stopOnError: input.stopOnError ?? true };
      const hasKeys = batch.cells.every(({ idempotencyKey }) => typeof idempotencyKey === 'string');
      let isUnaccepted = true;
      const onAccepting = () => {
        isUnaccepted = false;
      };
      const running = service.executeBatch(principal, batch, { stopping, onAccepting });
      return unlessStopping(stopping, running, () => isUnaccepted || hasKeys);
    },
  }),
  submit: t.field({
    type: Execution,
    description:
      'The same, answering as soon as the session has a worker and the request is durable; follow it with `output`, or poll `execution`.',
    args: { input: t.arg({ type: ExecuteInput, required: true, description: 'What to run.' }) },
    resolve: (_root, { input }, context) => run('submit', input, context),
  }),
  interrupt: t.field({
    type: Execution,
    description:
      'Interrupts a queued or running execution; the session keeps its variables. Its status then says what was done: INTERRUPTED, CANCELLED if it was queued, how it ended if it was over already, and RUNNING if its code takes no notice (restartKernel ends that). Asking again changes nothing.',
    args: { executionId: t.arg.id({ required: true, description: 'Which execution.' }) },
    resolve: (_root, { executionId }, { service, principal }) =>
      service.interrupt(principal, executionId),
  }),
}));
