/** Runs code: `execute`, `submit` and `executeBatch`; then `sendInput`, `resizeTerminal` and `interrupt`. */
import type { Execution as ExecutionRow } from '../domain/execution.ts';
import type { SentInput as Sent } from '../service/execute/sendInput.ts';
import { builder, ContentInput, USER } from './builder.ts';
import { Execution, executionById, Language, TerminalInput } from './execution.ts';
import { EnvironmentVariableInput } from './session.ts';

/** Descriptions for both `ExecuteInput` and the inputs of a batch. */
const TEXTS = {
  language: 'The language of the code. BASH runs it as a command.',
  code: 'The code: at least one character, at most MAX_CODE_BYTES in UTF-8. A command has at most 131,071 bytes, and no U+0000.',
  contextId:
    'The open context that runs the code. Null: the default context. A command has no context.',
  keepAlive:
    'Whether the session counts as used while the command runs. If false, the session can end as idle, and the command ends with it. A session always counts as used while a cell runs.',
  environmentVariables:
    'Environment variables for this code alone: at most MAX_ENVIRONMENT_VARIABLES, of MAX_ENVIRONMENT_BYTES together. They override those of the session. Later code in the context does not see them.',
  workingDirectory:
    'The folder in which this code begins: relative to the home, or absolute, without `..`. If the folder does not exist then, the code does not run, and the error is CellNotStarted or CommandNotStarted. Null: the present folder of the context; for a command, the home.',
  allowInput:
    'Whether the code may wait for input from `sendInput`. If false, `input()` fails at once, and the standard input of a command is empty. The time limit includes waiting for input.',
  pty: 'Gives a command a terminal of this size, and makes `allowInput` true. All output of the command is then STDOUT, with the control sequences of a terminal.',
  timeoutMs:
    'The time limit in milliseconds, counted from when the code is sent to the kernel. Default EXECUTION_TIMEOUT_MS, at most MAX_EXECUTION_TIMEOUT_MS; for a command, at most MAX_COMMAND_TIMEOUT_MS.',
  idempotencyKey:
    'Makes the call safe to repeat. Another call of the user with the same key returns the same execution, and runs nothing again. A different request with the same key fails with IDEMPOTENCY_CONFLICT, which names the fields that differ.',
  waitForWorkerMs:
    'How long to wait for a worker, in milliseconds, including the time to make one. Default and maximum WORKER_WAIT_TIMEOUT_MS.',
} as const;

const ExecuteInput = builder.inputType('ExecuteInput', {
  description: 'Code to run for a user.',
  fields: (t) => ({
    userUuid: t.string(USER),
    language: t.field({ type: Language, defaultValue: 'PYTHON', description: TEXTS.language }),
    code: t.string({ required: true, description: TEXTS.code }),
    contextId: t.id({ description: TEXTS.contextId }),
    keepAlive: t.boolean({ defaultValue: false, description: TEXTS.keepAlive }),
    cancelQueuedOnError: t.boolean({
      defaultValue: false,
      description:
        'Whether waiting executions are cancelled if this one does not end as OK: those that then wait in its context, or for a command, the waiting commands of the session. Executions that are accepted later are not cancelled.',
    }),
    environmentVariables: t.field({
      type: [EnvironmentVariableInput],
      description: TEXTS.environmentVariables,
    }),
    workingDirectory: t.string({ description: TEXTS.workingDirectory }),
    allowInput: t.boolean({ defaultValue: false, description: TEXTS.allowInput }),
    pty: t.field({ type: TerminalInput, description: TEXTS.pty }),
    timeoutMs: t.int({ description: TEXTS.timeoutMs }),
    idempotencyKey: t.string({ description: TEXTS.idempotencyKey }),
    waitForWorkerMs: t.int({ description: TEXTS.waitForWorkerMs }),
  }),
});

builder.mutationFields((t) => ({
  execute: t.field({
    type: Execution,
    description:
      "Runs code in the user's session and answers when it has finished. Opens a session if there is none.",
    args: { input: t.arg({ type: ExecuteInput, required: true, description: 'What to run.' }) },
    resolve: (_root, { input }, { service, principal, gone }) =>
      service.execute(principal, { ...requestOf(input), gone }),
  }),
  submit: t.field({
    type: Execution,
    description:
      'Runs code in the background: answers as soon as the session has a worker and the request is stored. Follow the execution with `output`, or poll `execution`. Opens a session if there is none.',
    args: { input: t.arg({ type: ExecuteInput, required: true, description: 'What to run.' }) },
    resolve: (_root, { input }, { service, principal, gone }) =>
      service.submit(principal, { ...requestOf(input), gone }),
  }),
}));

/** Events and SQL call the option by its former name, `stopOnError`. */
function requestOf({ cancelQueuedOnError, ...input }: typeof ExecuteInput.$inferInput) {
  return { ...input, stopOnError: cancelQueuedOnError };
}

// `executeBatch`: several cells in one call.

const BatchCell = builder.inputType('BatchCell', {
  description: 'One cell of a batch. The cells may differ in every field.',
  fields: (t) => ({
    code: t.string({ required: true, description: TEXTS.code }),
    language: t.field({ type: Language, defaultValue: 'PYTHON', description: TEXTS.language }),
    contextId: t.id({ description: TEXTS.contextId }),
    keepAlive: t.boolean({ defaultValue: false, description: TEXTS.keepAlive }),
    environmentVariables: t.field({
      type: [EnvironmentVariableInput],
      description: TEXTS.environmentVariables,
    }),
    workingDirectory: t.string({ description: TEXTS.workingDirectory }),
    allowInput: t.boolean({ defaultValue: false, description: TEXTS.allowInput }),
    pty: t.field({ type: TerminalInput, description: TEXTS.pty }),
    timeoutMs: t.int({ description: TEXTS.timeoutMs }),
    idempotencyKey: t.string({
      description: `${TEXTS.idempotencyKey} Give each cell its own key.`,
    }),
  }),
});

const ExecuteBatchInput = builder.inputType('ExecuteBatchInput', {
  description: 'Cells to run in order for one user.',
  fields: (t) => ({
    userUuid: t.string(USER),
    cells: t.field({ type: [BatchCell], required: true, description: '1 to 64 cells.' }),
    stopOnError: t.boolean({
      defaultValue: true,
      description:
        'Whether the batch stops after the first cell that does not end as OK. Even if false, the batch stops when the session of its first cell has ended, for example by `release`.',
    }),
    waitForWorkerMs: t.int({ description: TEXTS.waitForWorkerMs }),
  }),
});

const ExecuteBatchPayload = builder
  .objectRef<readonly ExecutionRow[]>('ExecuteBatchPayload')
  .implement({
    description: 'The result of `executeBatch`.',
    fields: (t) => ({
      executions: t.field({
        type: [Execution],
        description: 'The executions of the cells that were run, in their order.',
        resolve: (executions) => executions,
      }),
    }),
  });

builder.mutationField('executeBatch', (t) =>
  t.field({
    type: ExecuteBatchPayload,
    description:
      'Runs cells one after the other, all in the same session. Answers when the last cell has ended, with the executions of all cells that were run. Other calls of the user may run between two cells. If you send the call again with the same keys, it continues with the next cell. If a cell is refused, the error has the index of that cell (`cell`) and the `executionIds` of the cells before it.',
    args: {
      input: t.arg({ type: ExecuteBatchInput, required: true, description: 'What to run.' }),
    },
    resolve: (_root, { input }, { service, principal, gone }) =>
      service.executeBatch(principal, { ...input, gone }),
  }),
);

// `sendInput` and `resizeTerminal`, for an execution that runs.

const SendInputInput = builder.inputType('SendInputInput', {
  description: 'Input for an execution.',
  fields: (t) => ({
    executionId: t.id({ required: true, description: 'The id of the execution.' }),
    data: t.field({
      type: ContentInput,
      description:
        'The input: 1 to 65,536 bytes; a text counts in UTF-8. May be left out or empty if `close` is true.',
    }),
    offset: t.int({
      description:
        'The number of input bytes before this input. With an offset, a repeated call does not add the input again. Null: every call adds its input at the end.',
    }),
    close: t.boolean({
      defaultValue: false,
      description:
        'Whether the input ends after this call. The code then reads the end of the file.',
    }),
  }),
});

const SendInputPayload = builder.objectRef<Sent>('SendInputPayload').implement({
  description:
    'The result of `sendInput`: the offsets of the input. A repeated call gets the same offsets.',
  fields: (t) => ({
    offset: t.exposeInt('offset', { description: 'The number of input bytes before this input.' }),
    nextOffset: t.exposeInt('nextOffset', { description: 'The offset of the next input.' }),
    execution: t.expose('execution', {
      type: Execution,
      description: 'The execution that gets the input.',
    }),
  }),
});

const ResizeTerminalInput = builder.inputType('ResizeTerminalInput', {
  description: 'A command, and the new size of its terminal, in characters.',
  fields: (t) => ({
    executionId: t.id({ required: true, description: 'The id of the execution.' }),
    columns: t.int({ required: true, description: 'The length of a line: 1 to 65,535.' }),
    rows: t.int({ required: true, description: 'The number of lines: 1 to 65,535.' }),
  }),
});

const ResizeTerminalPayload = builder
  .objectRef<{ readonly resized: boolean; readonly executionId: string }>('ResizeTerminalPayload')
  .implement({
    description: 'The result of `resizeTerminal`.',
    fields: (t) => ({
      resized: t.exposeBoolean('resized', {
        description: 'Whether the terminal has the new size. False if the command does not run.',
      }),
      execution: t.field({
        type: Execution,
        description: 'The command whose terminal it is.',
        resolve: ({ executionId }, _args, context) => executionById(context, executionId),
      }),
    }),
  });

builder.mutationFields((t) => ({
  sendInput: t.field({
    type: SendInputPayload,
    description:
      'Sends input to an execution with `allowInput`. A command reads it from its standard input or terminal. A cell gets it as the answer to `input()` or `getpass()`: send a line that ends with a newline. Answers when the input is stored. Input is recorded, unless the newest InputRequested asks for a password. Fails if the execution has ended.',
    args: {
      input: t.arg({
        type: SendInputInput,
        required: true,
        description: 'The input, and its execution.',
      }),
    },
    resolve: (_root, { input: { data, ...rest } }, { service, principal }) =>
      service.sendInput(principal, { ...rest, ...data }),
  }),
  resizeTerminal: t.field({
    type: ResizeTerminalPayload,
    description: "Changes the size of a command's terminal. The size is not recorded.",
    args: {
      input: t.arg({
        type: ResizeTerminalInput,
        required: true,
        description: 'Which terminal, and its size.',
      }),
    },
    resolve: async (_root, { input: { executionId, ...size } }, { service, principal }) => ({
      executionId,
      resized: await service.resizeTerminal(principal, executionId, size),
    }),
  }),
}));

// `interrupt`, which ends an execution.

const InterruptSignal = builder.enumType('InterruptSignal', {
  description: 'The signal that the processes of an interrupted command get in place of SIGINT.',
  values: {
    SIGTERM: { description: 'They are asked to end; SIGKILL follows after INTERRUPT_GRACE_MS.' },
    SIGKILL: { description: 'All of them end at once.' },
  } as const,
});

const InterruptInput = builder.inputType('InterruptInput', {
  description: 'The execution to interrupt, and how.',
  fields: (t) => ({
    executionId: t.id({ required: true, description: 'The id of the execution.' }),
    signal: t.field({
      type: InterruptSignal,
      description:
        'The signal that the processes of a command get. Left out: SIGINT. A cell takes no other signal.',
    }),
  }),
});

builder.mutationField('interrupt', (t) =>
  t.field({
    type: Execution,
    description:
      'Interrupts a queued or running execution, and waits until it has ended, for at most INTERRUPT_GRACE_MS plus 4 s. The session keeps its variables. The returned status shows the result: INTERRUPTED if the execution was running, CANCELLED if it was queued, the former status if it had already ended, or RUNNING if a cell ignores the interrupt. `restartKernel` ends such a cell. A command that ignores the interrupt is killed after INTERRUPT_GRACE_MS. You may repeat the call.',
    args: {
      input: t.arg({ type: InterruptInput, required: true, description: 'What to interrupt.' }),
    },
    resolve: (_root, { input: { executionId, signal } }, { service, principal }) =>
      service.interrupt(principal, executionId, signal ?? null),
  }),
);
