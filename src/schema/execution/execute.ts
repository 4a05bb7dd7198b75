/** `execute` and `submit`, which run code. */
import { builder } from '../builder.ts';
import { EnvironmentVariableInput } from '../session/environmentVariable.ts';
import { Execution } from './execution.ts';
import { Language } from './language.ts';
import { TerminalInput } from './terminal.ts';

const ExecuteInput = builder.inputType('ExecuteInput', {
  description: 'Code to run for a user.',
  fields: (t) => ({
    userUuid: t.string({
      required: true,
      description:
        'The user: any non-empty string of at most 128 characters. A UUID is recommended.',
    }),
    language: t.field({
      type: Language,
      defaultValue: 'PYTHON',
      description: 'The language of the code. BASH runs it as a command.',
    }),
    code: t.string({
      required: true,
      description:
        'The code: at least one character, at most MAX_CODE_BYTES in UTF-8. A command has at most 131,071 bytes, and no U+0000.',
    }),
    contextId: t.id({
      description:
        "The context that runs it: an open one of the user's open session. Null: the default context. A command has none.",
    }),
    keepAlive: t.boolean({
      defaultValue: false,
      description:
        'Whether a command keeps its session from being idle while it runs. If false, the session can end, and the command with it. Cells always keep their session.',
    }),
    stopOnError: t.boolean({
      defaultValue: false,
      description:
        'Whether what is then queued behind it in its context (for a command: among the commands of the session) is cancelled if its status is not OK at its end. What was accepted after its end is not cancelled.',
    }),
    environmentVariables: t.field({
      type: [EnvironmentVariableInput],
      description:
        'Environment variables for this code alone: at most MAX_ENVIRONMENT_VARIABLES, of MAX_ENVIRONMENT_BYTES together. They count more than those of the session. Code in the same context finds the former ones again afterwards.',
    }),
    workingDirectory: t.string({
      description:
        'The folder that this code alone begins in: relative to the home, or absolute, without `..`. It must be there when the code begins; otherwise the code does not run, and the error is CellNotStarted or CommandNotStarted. Null: where the context is, and for a command the home.',
    }),
    allowInput: t.boolean({
      defaultValue: false,
      description:
        'Whether the code may wait for input, which `sendInput` brings. If false, `input()` fails at once, and the standard input of a command is empty. Waiting counts in the time limit.',
    }),
    pty: t.field({
      type: TerminalInput,
      description:
        'Gives a command a terminal of this size, and so `allowInput`. All its output is then STDOUT, with the control sequences of a terminal.',
    }),
    timeoutMs: t.int({
      description:
        'The time limit in milliseconds, counted from when the code is sent to the kernel. Default EXECUTION_TIMEOUT_MS, at most MAX_EXECUTION_TIMEOUT_MS; for a command, at most MAX_COMMAND_TIMEOUT_MS.',
    }),
    idempotencyKey: t.string({
      description:
        'Makes the call safe to repeat. Another call of the user with the same key gives the same execution and runs nothing twice. The same key with another request is the error IDEMPOTENCY_CONFLICT, which names the fields that differ.',
    }),
    waitForWorkerMs: t.int({
      description:
        'How long to wait for a worker, in milliseconds, including its creation. Default and maximum WORKER_WAIT_TIMEOUT_MS.',
    }),
  }),
});

builder.mutationFields((t) => ({
  execute: t.field({
    type: Execution,
    description:
      "Runs code in the user's session and answers when it has finished. Opens a session if there is none.",
    args: { input: t.arg({ type: ExecuteInput, required: true, description: 'What to run.' }) },
    resolve: (_root, { input }, { service, principal }) => service.execute(principal, input),
  }),
  submit: t.field({
    type: Execution,
    description:
      'Like `execute`, but answers as soon as the session has a worker and the request is durable. Follow the execution with `output`, or poll `execution`.',
    args: { input: t.arg({ type: ExecuteInput, required: true, description: 'What to run.' }) },
    resolve: (_root, { input }, { service, principal }) => service.submit(principal, input),
  }),
}));
