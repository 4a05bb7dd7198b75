/** `OutputEvent`, its kinds, and the two subscriptions for output. */
import { stripVTControlCharacters } from 'node:util';
import type { Finish, Output, OutputItem } from '../domain/output.ts';
import type { PythonError } from '../service/answer/renderedText.ts';
import { builder, USER } from './builder.ts';
import { GapReason, gapReasonOf } from './enums.ts';

/** An item with an output of this kind. */
export type ItemOf<Kind extends (Output | Finish)['kind']> = OutputItem & {
  readonly output: Extract<Output | Finish, { readonly kind: Kind }>;
};

export const OutputEvent = builder.interfaceRef<OutputItem>('OutputEvent').implement({
  description: "One item of an execution's output.",
  resolveType: ({ output }) => TYPE_OF_KIND[output.kind],
  fields: (t) => ({
    executionId: t.exposeID('executionId', {
      description: 'The execution that the output belongs to.',
    }),
    seq: t.exposeInt('seq', {
      description:
        'Its place in the output of the execution: from 1, without holes. ExecutionFinished is the last.',
    }),
    at: t.expose('at', { type: 'DateTime', description: 'When the worker saw it.' }),
  }),
});

const TYPE_OF_KIND = {
  stream: 'StreamOutput',
  result: 'RichOutput',
  display: 'RichOutput',
  update: 'RichOutput',
  error: 'ErrorOutput',
  clear: 'ClearOutput',
  input: 'InputRequested',
  expressions: 'ExpressionResults',
  gap: 'GapOutput',
  finish: 'ExecutionFinished',
} as const satisfies Record<OutputItem['output']['kind'], string>;

export const StreamName = builder.enumType('StreamName', {
  description: 'The stream that a text was written to.',
  values: {
    STDOUT: { value: 'stdout', description: 'Standard output, for example of `print`.' },
    STDERR: { value: 'stderr', description: 'Standard error, for example warnings.' },
  } as const,
});

const RichKind = builder.enumType('RichKind', {
  description: 'Where a rich output comes from.',
  values: {
    RESULT: { value: 'result', description: 'The value of the last expression.' },
    DISPLAY: {
      value: 'display',
      description: 'Something that was shown with `display()`, or a figure.',
    },
    UPDATE: {
      value: 'update',
      description: 'A new value for the display with the same `displayId`.',
    },
  } as const,
});

builder.objectRef<ItemOf<'stream'>>('StreamOutput').implement({
  description:
    'Text that was written to a stream. One print can be several events, and several prints one event.',
  interfaces: [OutputEvent],
  fields: (t) => ({
    name: t.field({
      type: StreamName,
      description: 'The stream that it was written to.',
      resolve: ({ output }) => output.name,
    }),
    text: t.string({
      description: 'The text. If the bytes are not UTF-8, it has only what can be shown.',
      resolve: ({ output }) => output.text,
    }),
    base64: t.string({
      nullable: true,
      description: 'The bytes, if they are not UTF-8. Null if `text` is exact.',
      resolve: ({ output }) => output.base64 ?? null,
    }),
  }),
});

builder.objectRef<ItemOf<'result' | 'display' | 'update'>>('RichOutput').implement({
  description: 'A value in one or more representations, such as text/plain and image/png.',
  interfaces: [OutputEvent],
  fields: (t) => ({
    kind: t.field({
      type: RichKind,
      description: 'Whether it is a result, a display, or a new value for a display.',
      resolve: ({ output }) => output.kind,
    }),
    data: t.field({
      type: 'JSON',
      description: "Values by MIME type, as in Jupyter's messages. Images are base64.",
      resolve: ({ output }) => output.data,
    }),
    metadata: t.field({
      type: 'JSON',
      description: 'Further facts by MIME type, such as width and height.',
      resolve: ({ output }) => output.metadata,
    }),
    displayId: t.string({
      nullable: true,
      description: 'Identifies a display, so that an update can replace it. Null if it has none.',
      resolve: ({ output }) => output.displayId,
    }),
    executionCount: t.int({
      nullable: true,
      description: "The number of the cell: n in IPython's `Out[n]`. Only for results.",
      resolve: ({ output }) => output.executionCount,
    }),
  }),
});

export const ExecutionError = builder.objectRef<PythonError>('ExecutionError').implement({
  description:
    'A Python exception that the code did not catch, the death of the kernel, or how a command failed.',
  fields: (t) => ({
    name: t.exposeString('name', {
      description:
        'For a cell: the class of the exception, `KernelDied`, `OutOfMemory`, or `CellNotStarted` (the code has not run, because its `workingDirectory` cannot be entered). For a command: `CommandFailed`, `CommandNotStarted` (the code has not run), `OutOfMemory`, or `CommandLost` (the worker lost track of the command, and ended it).',
    }),
    value: t.exposeString('value', {
      description:
        'The message of the exception. For CommandFailed, for example `exit code 3` or `signal SIGKILL`.',
    }),
    traceback: t.stringList({
      description: 'The lines of the traceback, with ANSI colours, as IPython formats them.',
      resolve: ({ traceback }) => [...traceback],
    }),
    tracebackText: t.string({
      description:
        'The traceback without colours, for a log or a language model. Empty if there is none, as for a command.',
      resolve: ({ traceback }) => stripVTControlCharacters(traceback.join('\n')),
    }),
  }),
});

builder.objectRef<ItemOf<'error'>>('ErrorOutput').implement({
  description:
    'An exception that the code did not catch, the death of the kernel, or the failure of a command.',
  interfaces: [OutputEvent],
  fields: (t) => ({
    error: t.field({
      type: ExecutionError,
      description: 'What failed.',
      resolve: ({ output }) => output,
    }),
  }),
});

builder.objectRef<ItemOf<'clear'>>('ClearOutput').implement({
  description:
    'The code asks to clear its earlier output (`clear_output`). `stdout` and `outputs` still contain that output.',
  interfaces: [OutputEvent],
  fields: (t) => ({
    wait: t.boolean({
      description: 'Whether to clear only when the next output arrives.',
      resolve: ({ output }) => output.wait,
    }),
  }),
});

builder.objectRef<ItemOf<'input'>>('InputRequested').implement({
  description:
    'The code of a cell waits for a line of input. Answer by `sendInput`, with a newline at the end. This event comes even if the line was sent before.',
  interfaces: [OutputEvent],
  fields: (t) => ({
    prompt: t.string({
      description: 'What the code asks: the argument of `input()` or `getpass()`.',
      resolve: ({ output }) => output.prompt,
    }),
    password: t.boolean({
      description:
        'Whether the code asks for a secret, by `getpass()`. Do not show what the person types. Input that is sent from now on is not recorded.',
      resolve: ({ output }) => output.password,
    }),
  }),
});

builder.objectRef<ItemOf<'expressions'>>('ExpressionResults').implement({
  description:
    'The values of expressions that a notebook sent with a cell. They are evaluated after the cell.',
  interfaces: [OutputEvent],
  fields: (t) => ({
    results: t.field({
      type: 'JSON',
      description:
        'For each expression, by its name: `status` (`ok` or `error`), and `data` and `metadata` by MIME type, or `name`, `value` and `traceback` of the error.',
      resolve: ({ output }) => output.results,
    }),
  }),
});

builder.objectRef<ItemOf<'gap'>>('GapOutput').implement({
  description:
    'Stands for output that is missing: it exceeded the size limit, the worker could not keep it until a gateway took it, or it was pruned. Output is never lost without a GapOutput.',
  interfaces: [OutputEvent],
  fields: (t) => ({
    reason: t.field({
      type: GapReason,
      description: 'Why it is missing.',
      resolve: ({ output }) => gapReasonOf(output.reason),
    }),
    droppedBytes: t.field({
      type: 'Int53',
      nullable: true,
      description: 'How many bytes are missing. Null if unknown.',
      resolve: ({ output }) => output.droppedBytes,
    }),
  }),
});

/** Its field `execution` is defined in execution.ts. */
export const ExecutionFinished = builder
  .objectRef<ItemOf<'finish'>>('ExecutionFinished')
  .implement({
    description: 'The execution has ended. This is always its last event.',
    interfaces: [OutputEvent],
  });

builder.subscriptionFields((t) => ({
  output: t.field({
    type: OutputEvent,
    description:
      'The output of one execution, in order and without holes: first the stored events after `after`, then new ones. ' +
      'Ends with ExecutionFinished. After a lost connection, subscribe again with the last seq that you have received.',
    args: {
      executionId: t.arg.id({ required: true, description: 'The id of the execution.' }),
      after: t.arg.int({
        defaultValue: 0,
        description: 'The last seq that you have received. 0 for all output.',
      }),
    },
    subscribe: (_root, { executionId, after }, { service, principal }) =>
      service.followExecution(principal, executionId, after ?? 0),
    resolve: (item) => item,
  }),
  sessionOutput: t.field({
    type: OutputEvent,
    description:
      "The output of all the user's executions, in this session and later ones: from now on, or after the event that `after` names. It never ends by itself. You may subscribe before a session exists.",
    args: {
      userUuid: t.arg.string(USER),
      after: t.arg.string({
        description: 'The last event that you have received, as `executionId:seq`.',
      }),
    },
    subscribe: (_root, { userUuid, after }, { service, principal }) =>
      service.followSession(principal, userUuid, after ?? null),
    resolve: (item) => item,
  }),
}));
