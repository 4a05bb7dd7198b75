/** `OutputEvent`, its kinds, and the two subscriptions that follow them. */

import type { Finish, Output, OutputItem } from '../../domain/output.ts';
import { builder } from '../builder.ts';
import { ExecutionError } from './executionError.ts';

type ItemOf<Kind extends (Output | Finish)['kind']> = OutputItem & {
  readonly output: Extract<Output | Finish, { readonly kind: Kind }>;
};

export const OutputEvent = builder.interfaceRef<OutputItem>('OutputEvent').implement({
  description: "One item of an execution's output.",
  resolveType: ({ output }) => TYPE_OF_KIND[output.kind],
  fields: (t) => ({
    executionId: t.exposeID('executionId', { description: 'Whose output it is.' }),
    seq: t.exposeInt('seq', {
      description: 'Its place in the output: from 1, without holes; the finish is the last.',
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
  gap: 'GapOutput',
  finish: 'ExecutionFinished',
} as const satisfies Record<OutputItem['output']['kind'], string>;

const StreamName = builder.enumType('StreamName', {
  description: 'Where text was written.',
  values: {
    STDOUT: { value: 'stdout', description: 'Standard output, `print`.' },
    STDERR: { value: 'stderr', description: 'Standard error, warnings.' },
  } as const,
});

const RichKind = builder.enumType('RichKind', {
  description: 'How a rich output came to be.',
  values: {
    RESULT: { value: 'result', description: 'The value of the last line.' },
    DISPLAY: { value: 'display', description: 'Shown by `display()`, or a figure.' },
    UPDATE: { value: 'update', description: 'Replaces the display with the same `displayId`.' },
  } as const,
});

builder.objectRef<ItemOf<'stream'>>('StreamOutput').implement({
  description: 'Text that was written to a stream. Where it is cut into events means nothing.',
  interfaces: [OutputEvent],
  fields: (t) => ({
    name: t.field({
      type: StreamName,
      description: 'Which stream.',
      resolve: ({ output }) => output.name,
    }),
    text: t.string({ description: 'The text.', resolve: ({ output }) => output.text }),
  }),
});

builder.objectRef<ItemOf<'result' | 'display' | 'update'>>('RichOutput').implement({
  description: 'A value in one or more representations, such as text/plain and image/png.',
  interfaces: [OutputEvent],
  fields: (t) => ({
    kind: t.field({
      type: RichKind,
      description: 'How it came to be.',
      resolve: ({ output }) => output.kind,
    }),
    data: t.field({
      type: 'JSON',
      description: "MIME type -> value, as Jupyter's; images are base64.",
      resolve: ({ output }) => output.data,
    }),
    metadata: t.field({
      type: 'JSON',
      description: 'MIME type -> further facts, such as width and height.',
      resolve: ({ output }) => output.metadata,
    }),
    displayId: t.string({
      nullable: true,
      description: 'By which an update finds it.',
      resolve: ({ output }) => output.displayId,
    }),
    executionCount: t.int({
      nullable: true,
      description: "IPython's `Out[n]`; results only.",
      resolve: ({ output }) => output.executionCount,
    }),
  }),
});

builder.objectRef<ItemOf<'error'>>('ErrorOutput').implement({
  description: 'An exception that the code did not catch.',
  interfaces: [OutputEvent],
  fields: (t) => ({
    error: t.field({
      type: ExecutionError,
      description: 'The exception.',
      resolve: ({ output }) => output,
    }),
  }),
});

builder.objectRef<ItemOf<'clear'>>('ClearOutput').implement({
  description: 'What was shown so far is to be cleared. `stdout` and `outputs` keep it.',
  interfaces: [OutputEvent],
  fields: (t) => ({
    wait: t.boolean({
      description: 'Clear only when the next output arrives.',
      resolve: ({ output }) => output.wait,
    }),
  }),
});

builder.objectRef<ItemOf<'gap'>>('GapOutput').implement({
  description:
    'Output that could not be kept: past the size limit, or lost while no gateway was connected. Never silent.',
  interfaces: [OutputEvent],
  fields: (t) => ({
    reason: t.string({
      description:
        'output_limit, replay_overflow, message_too_large, malformed, pruned (kept no longer), or another reason in words.',
      resolve: ({ output }) => output.reason,
    }),
    droppedBytes: t.float({
      nullable: true,
      description: 'How much is missing, where that is known.',
      resolve: ({ output }) => output.droppedBytes,
    }),
  }),
});

/** Its field `execution` is in execution.ts. */
export const ExecutionFinished = builder
  .objectRef<ItemOf<'finish'>>('ExecutionFinished')
  .implement({
    description: 'The execution is over. Always the last of its events.',
    interfaces: [OutputEvent],
  });

builder.subscriptionFields((t) => ({
  output: t.field({
    type: OutputEvent,
    description:
      'The output of one execution, in order and without holes: first everything after `after` that is already ' +
      'recorded, then live; ends with ExecutionFinished. Reconnect with the last seq you saw.',
    args: {
      executionId: t.arg.id({ required: true, description: 'Which execution.' }),
      after: t.arg.int({ defaultValue: 0, description: 'The last seq you have; 0 for all.' }),
    },
    subscribe: (_root, { executionId, after }, { service, principal }) =>
      service.followExecution(principal, executionId, after ?? 0),
    resolve: (item) => item,
  }),
  sessionOutput: t.field({
    type: OutputEvent,
    description:
      'The output of every execution of a user from now on, or after `executionId:seq`; may be opened before a session exists.',
    args: {
      userUuid: t.arg.string({ required: true, description: 'The user.' }),
      after: t.arg.string({ description: 'The last event you have, as `executionId:seq`.' }),
    },
    subscribe: (_root, { userUuid, after }, { service, principal }) =>
      service.followSession(principal, userUuid, after ?? null),
    resolve: (item) => item,
  }),
}));
