/** `execute` and `submit`: code to be run. */
import { builder } from '../builder.ts';
import { Execution } from './execution.ts';

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

builder.mutationFields((t) => ({
  execute: t.field({
    type: Execution,
    description:
      "Runs code in the user's session (opened if there is none) and answers when it has finished.",
    args: { input: t.arg({ type: ExecuteInput, required: true, description: 'What to run.' }) },
    resolve: (_root, { input }, { service, principal }) => service.execute(principal, input),
  }),
  submit: t.field({
    type: Execution,
    description:
      'The same, answering as soon as the session has a worker and the request is durable; follow it with `output`, or poll `execution`.',
    args: { input: t.arg({ type: ExecuteInput, required: true, description: 'What to run.' }) },
    resolve: (_root, { input }, { service, principal }) => service.submit(principal, input),
  }),
}));
