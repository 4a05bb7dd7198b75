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
    "The context that runs it: an open one of the user's open session. Null: the default context. A command has none.",
  keepAlive:
    'Whether a command keeps its session from being idle while it runs. If false, the session can end, and the command with it. Cells always keep their session.',
  environmentVariables:
    'Environment variables for this code alone: at most MAX_ENVIRONMENT_VARIABLES, of MAX_ENVIRONMENT_BYTES together. They count more than those of the session. Code in the same context finds the former ones again afterwards.',
  workingDirectory:
    'The folder that this code alone begins in: relative to the home, or absolute, without `..`. It must be there when the code begins; otherwise the code does not run, and the error is CellNotStarted or CommandNotStarted. Null: where the context is, and for a command the home.',
  allowInput:
    'Whether the code may wait for input, which `sendInput` brings. If false, `input()` fails at once, and the standard input of a command is empty. Waiting counts in the time limit.',
  pty: 'Gives a command a terminal of this size, and so `allowInput`. All its output is then STDOUT, with the control sequences of a terminal.',
  timeoutMs:
    'The time limit in milliseconds, counted from when the code is sent to the kernel. Default EXECUTION_TIMEOUT_MS, at most MAX_EXECUTION_TIMEOUT_MS; for a command, at most MAX_COMMAND_TIMEOUT_MS.',
  idempotencyKey:
    'Makes the call safe to repeat. Another call of the user with the same key gives the same execution and runs nothing twice. The same key with another request is the error IDEMPOTENCY_CONFLICT, which names the fields that differ.',
  waitForWorkerMs:
    'How long to wait for a worker, in milliseconds, including its creation. Default and maximum WORKER_WAIT_TIMEOUT_MS.',
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
        'Whether what is then queued behind it in its context (for a command: among the commands of the session) is cancelled if its status is not OK at its end. What was accepted after its end is not cancelled.',
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
    resolve: (_root, { input }, { service, principal }) =>
      service.execute(principal, requestOf(input)),
  }),
  submit: t.field({
    type: Execution,
    description:
      'Runs code in the background: answers as soon as the session has a worker and the request is durable. Follow the execution with `output`, or poll `execution`. Opens a session if there is none.',
    args: { input: t.arg({ type: ExecuteInput, required: true, description: 'What to run.' }) },
    resolve: (_root, { input }, { service, principal }) =>
      service.submit(principal, requestOf(input)),
  }),
}));

/** Events and SQL call the option by its former name, `stopOnError`. */
function requestOf({ cancelQueuedOnError, ...input }: typeof ExecuteInput.$inferInput) {
  return { ...input, stopOnError: cancelQueuedOnError };
}

// `executeBatch`: several cells in one call.

const BatchCell = builder.inputType('BatchCell', {
  description: 'One cell of a batch. Cells may differ in all of this.',
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
    idempotencyKey: t.string({ description: `${TEXTS.idempotencyKey} Each cell has its own key.` }),
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
        'Whether the batch ends with the first cell whose status is not OK. Even if false, no cell is run once the session of the first cell has ended, for example by `release`.',
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
      'Runs cells one after the other, all in the same session. Answers when the last has ended, with the executions of all cells that were run. Other calls of the user may run between two cells. If the call is sent again with the same keys, it continues where it was. If a cell is refused, the error has its index (`cell`) and the `executionIds` of the cells that were run before it.',
    args: {
      input: t.arg({ type: ExecuteBatchInput, required: true, description: 'What to run.' }),
    },
    resolve: (_root, { input }, { service, principal }) => service.executeBatch(principal, input),
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
        'The input: 1 to 65,536 bytes, of a text in UTF-8. It may be left out, or be empty, if `close` is true.',
    }),
    offset: t.int({
      description:
        'How many bytes of input are before it. Input with an offset is applied once, however often it is sent. Null: it is added at the end, each time.',
    }),
    close: t.boolean({
      defaultValue: false,
      description: 'Whether the input ends with it, so that the code reads the end of the file.',
    }),
  }),
});

const SendInputPayload = builder.objectRef<Sent>('SendInputPayload').implement({
  description:
    'The result of `sendInput`: where the input is. A repeated call gets the same offsets.',
  fields: (t) => ({
    offset: t.exposeInt('offset', { description: 'How many bytes of input are before it.' }),
    nextOffset: t.exposeInt('nextOffset', { description: 'The offset of what is sent next.' }),
    execution: t.expose('execution', {
      type: Execution,
      description: 'The execution that gets the input.',
    }),
  }),
});

const ResizeTerminalInput = builder.inputType('ResizeTerminalInput', {
  description: 'A command, and the size that its terminal shall have, in characters.',
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
        description: 'Whether the command runs, and so has the size now.',
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
      'Sends input to an execution that was asked with `allowInput`: to the standard input of a command, to its terminal, or the answer to `input()` or `getpass()` in a cell, which is a line with its newline. Answers when the input is durable; the code gets it when it runs and reads. Input is recorded, except while the newest InputRequested asks for a password. Not possible once the execution has ended.',
    args: {
      input: t.arg({
        type: SendInputInput,
        required: true,
        description: 'The input, and for which execution it is.',
      }),
    },
    resolve: (_root, { input: { data, ...rest } }, { service, principal }) =>
      service.sendInput(principal, { ...rest, ...data }),
  }),
  resizeTerminal: t.field({
    type: ResizeTerminalPayload,
    description:
      'Gives the terminal of a command another size. The latest size wins; it is not recorded.',
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
  description: 'What the processes of a command get in place of SIGINT when it is interrupted.',
  values: {
    SIGTERM: { description: 'They are asked to end; SIGKILL follows after INTERRUPT_GRACE_MS.' },
    SIGKILL: { description: 'They all end at once.' },
  } as const,
});

const InterruptInput = builder.inputType('InterruptInput', {
  description: 'The execution to interrupt, and how.',
  fields: (t) => ({
    executionId: t.id({ required: true, description: 'The id of the execution.' }),
    signal: t.field({
      type: InterruptSignal,
      description:
        'What the processes of a command get. Left out: SIGINT, the only one for a cell.',
    }),
  }),
});

builder.mutationField('interrupt', (t) =>
  t.field({
    type: Execution,
    description:
      'Interrupts a queued or running execution, and waits until it has ended, for at most INTERRUPT_GRACE_MS and 4 s. The session keeps its variables. The returned status shows the result: INTERRUPTED if it was running, CANCELLED if it was queued, its former status if it had already ended, or RUNNING if a cell ignores the interrupt (`restartKernel` with its context then ends it). A command that ignores it is killed after INTERRUPT_GRACE_MS, or at once with SIGKILL. Repeating the call does no harm.',
    args: {
      input: t.arg({ type: InterruptInput, required: true, description: 'What to interrupt.' }),
    },
    resolve: (_root, { input: { executionId, signal } }, { service, principal }) =>
      service.interrupt(principal, executionId, signal ?? null),
  }),
);
