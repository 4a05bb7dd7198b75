/** `Context`, with `contexts`, `createContext` and `deleteContext`. */
import type { ContextView } from '../../service/contexts/contextView.ts';
import { builder } from '../builder.ts';

const ContextStatus = builder.enumType('ContextStatus', {
  description: 'Whether a context can run code.',
  values: {
    STARTING: { description: 'Its kernel is being started. Executions wait for it.' },
    READY: { description: 'Its kernel runs code.' },
    ENDING: { description: 'It is being deleted.' },
    ENDED: {
      description: 'It was deleted, its kernel could not be started, or its session ended.',
    },
  } as const,
});

export const Context = builder.objectRef<ContextView>('Context').implement({
  description:
    'A kernel of a session, with its own variables and queue. All contexts of a session share its files. Executions of one context run one after the other, beside those of other contexts.',
  fields: (t) => ({
    id: t.exposeID('id', {
      description: 'The id of the context. That of the default context is the id of its session.',
    }),
    name: t.exposeString('name', {
      nullable: true,
      description: 'Its name from `createContext`. Null if it has none.',
    }),
    isDefault: t.exposeBoolean('isDefault', {
      description: 'Whether it is the context that calls without a `contextId` use.',
    }),
    workingDirectory: t.exposeString('workingDirectory', {
      description:
        'The absolute path of the folder in which its kernels begin. A kernel that cannot enter it begins in the home.',
    }),
    status: t.expose('status', { type: ContextStatus, description: 'Its present status.' }),
    createdAt: t.expose('createdAt', {
      type: 'DateTime',
      description: 'When its creation was accepted.',
    }),
    kernelRestarts: t.exposeInt('kernelRestarts', {
      description: 'How often its kernel was replaced. Each time, its variables were lost.',
    }),
    endedAt: t.expose('endedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it ended. Null while it is open.',
    }),
    endReason: t.exposeString('endReason', {
      nullable: true,
      description:
        'Why it ended: deleted, failed (no kernel could be started), or the `closeReason` of its session. Null while it is open.',
    }),
  }),
});

const CreateContextInput = builder.inputType('CreateContextInput', {
  description: 'A user, and what the context shall be.',
  fields: (t) => ({
    userUuid: t.string({ required: true, description: 'The user.' }),
    name: t.string({
      description:
        'A name, unique among the open contexts of the session: 1 to 128 characters. It makes the call safe to repeat: if an open context has the name, the call gives that one.',
    }),
    workingDirectory: t.string({
      description:
        'The folder in which its kernels begin, relative to the home or absolute. It must exist. Default: the home.',
    }),
  }),
});

const DeleteContextPayload = builder
  .objectRef<{ readonly deleted: boolean; readonly contextId: string }>('DeleteContextPayload')
  .implement({
    description: 'The result of `deleteContext`.',
    fields: (t) => ({
      deleted: t.exposeBoolean('deleted', {
        description: 'Whether there was such an open context.',
      }),
      contextId: t.exposeID('contextId', { description: 'The context from the call.' }),
    }),
  });

builder.queryField('contexts', (t) =>
  t.field({
    type: [Context],
    description:
      "The open contexts of the user's open session, the default one first. Empty if there is no open session.",
    args: { userUuid: t.arg.string({ required: true, description: 'The user.' }) },
    resolve: (_root, { userUuid }, { service, principal }) => service.contexts(principal, userUuid),
  }),
);

builder.mutationFields((t) => ({
  createContext: t.field({
    type: Context,
    description:
      "Creates a context in the user's session, at most MAX_CONTEXTS beside the default one. Answers when its kernel is ready, or after 30 s with the context as it is (STARTING). Opens a session if there is none.",
    args: {
      input: t.arg({
        type: CreateContextInput,
        required: true,
        description: 'The user and the context.',
      }),
    },
    resolve: (_root, { input }, { service, principal }) => service.createContext(principal, input),
  }),
  deleteContext: t.field({
    type: DeleteContextPayload,
    description:
      "Deletes a context of the user's open session, and answers when its processes have ended. Running code ends as INTERRUPTED, queued code as CANCELLED. Files stay. Without such a context it succeeds with `deleted: false`. The default context cannot be deleted.",
    args: {
      userUuid: t.arg.string({ required: true, description: 'The user.' }),
      contextId: t.arg.id({ required: true, description: 'The context.' }),
    },
    resolve: async (_root, { userUuid, contextId }, { service, principal }) => ({
      contextId: String(contextId),
      deleted: await service.deleteContext(principal, userUuid, String(contextId)),
    }),
  }),
}));
