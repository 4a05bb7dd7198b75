/** Runs code: `execute`, `submit` and `executeBatch`; then `sendInput`, `resizeTerminal` and `interrupt`. */
import type { SentInput as Sent } from '../service/execute/sendInput.ts';
import { builder } from './builder.ts';
import { Execution, Language, TerminalInput } from './execution.ts';
import { EnvironmentVariableInput } from './session.ts';

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

// `executeBatch`: several cells in one call.

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

// `sendInput` and `resizeTerminal`, for an execution that runs.

const SentInput = builder.objectRef<Sent>('SentInput').implement({
  description: 'Where the input of a call is. A repeated call gets the same offsets.',
  fields: (t) => ({
    offset: t.exposeInt('offset', { description: 'How many bytes of input are before it.' }),
    nextOffset: t.exposeInt('nextOffset', { description: 'The offset of what is sent next.' }),
    execution: t.expose('execution', { type: Execution, description: 'The execution.' }),
  }),
});

builder.mutationFields((t) => ({
  sendInput: t.field({
    type: SentInput,
    description:
      'Sends input to an execution that was asked with `allowInput`: to the standard input of a command, to its terminal, or the answer to `input()` or `getpass()` in a cell, which is a line with its newline. Answers when the input is durable; the code gets it when it runs and reads. Input is recorded, except while the newest InputRequested asks for a password. Not possible once the execution has ended.',
    args: {
      executionId: t.arg.id({ required: true, description: 'The execution.' }),
      offset: t.arg.int({
        description:
          'How many bytes of input are before it. Input with an offset is applied once, however often it is sent. Null: it is added at the end, each time.',
      }),
      text: t.arg.string({
        description: 'The input as text: at most 65,536 bytes in UTF-8.',
      }),
      base64: t.arg.string({
        description: 'The input as bytes in base64, instead of text: at most 65,536 bytes.',
      }),
      close: t.arg.boolean({
        defaultValue: false,
        description:
          'Whether the input ends with it, so that the code reads the end of the file. Needs neither text nor base64.',
      }),
    },
    resolve: (_root, request, { service, principal }) => service.sendInput(principal, request),
  }),
  resizeTerminal: t.boolean({
    description:
      'Gives the terminal of a command another size. The latest size wins; it is not recorded. Answers whether the command runs, and so has the size now.',
    args: {
      executionId: t.arg.id({ required: true, description: 'The execution.' }),
      columns: t.arg.int({ required: true, description: 'The length of a line: 1 to 65,535.' }),
      rows: t.arg.int({ required: true, description: 'The number of lines: 1 to 65,535.' }),
    },
    resolve: (_root, { executionId, columns, rows }, { service, principal }) =>
      service.resizeTerminal(principal, executionId, { columns, rows }),
  }),
}));

// `interrupt`, which ends an execution.

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
