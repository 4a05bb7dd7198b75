/** `Session` and its contexts: opening, changing and ending them. */
import type { Session as SessionRow } from '../domain/session.ts';
import type { ContextView } from '../service/contexts/contexts.ts';
import { metadataOf, refuse } from '../service/validate.ts';
import { builder, connectionOf, pageArgs, USER } from './builder.ts';
import type { SchemaContext } from './context.ts';
import { CloseReason, ContextEnd } from './enums.ts';
import { Environment } from './environment.ts';
import { Worker } from './pool.ts';

export const EnvironmentVariableInput = builder.inputType('EnvironmentVariableInput', {
  description:
    'An environment variable of a session or of an execution. No answer ever contains its value.',
  fields: (t) => ({
    name: t.string({
      required: true,
      description:
        'Letters, digits and _, not beginning with a digit: at most MAX_ENVIRONMENT_NAME_BYTES.',
    }),
    value: t.string({ required: true, description: 'Any text without U+0000.' }),
  }),
});

const MetadataEntry = builder
  .objectRef<{ readonly key: string; readonly value: string }>('MetadataEntry')
  .implement({
    description: 'A note on a session, from `openSession`.',
    fields: (t) => ({
      key: t.exposeString('key', { description: 'What the note is called.' }),
      value: t.exposeString('value', { description: 'The note.' }),
    }),
  });

export const MetadataEntryInput = builder.inputType('MetadataEntryInput', {
  description: 'A note on a session.',
  fields: (t) => ({
    key: t.string({ required: true, description: 'What the note is called: 1 to 128 characters.' }),
    value: t.string({ required: true, description: 'The note: any text without U+0000.' }),
  }),
});

// `Context`, with `context`, `contexts`, `createContext` and `deleteContext`.

const ContextStatus = builder.enumType('ContextStatus', {
  description: 'Whether a context can run code.',
  values: {
    STARTING: { description: 'Its kernel is being started. Executions wait for it.' },
    READY: { description: 'Its kernel can run code.' },
    ENDING: { description: 'It is being deleted.' },
    ENDED: {
      description: 'It was deleted, its kernel could not be started, or its session ended.',
    },
  } as const,
});

export const Context = builder.objectRef<ContextView>('Context').implement({
  description:
    'A kernel of a session, with its own variables and queue. All contexts of a session share its files. Executions of one context run one after the other, and at the same time as those of other contexts.',
  fields: (t) => ({
    id: t.exposeID('id', {
      description: 'The id of the context. That of the default context is the id of its session.',
    }),
    name: t.exposeString('name', {
      nullable: true,
      description: 'Its name from `createContext`. Null if it has none.',
    }),
    isDefault: t.exposeBoolean('isDefault', {
      description: 'Whether it is the default context, which runs calls without a `contextId`.',
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
    endReason: t.expose('endReason', {
      type: ContextEnd,
      nullable: true,
      description: 'Why it ended. Null while it is open.',
    }),
  }),
});

const CreateContextInput = builder.inputType('CreateContextInput', {
  description: 'The user, and the properties of the context.',
  fields: (t) => ({
    userUuid: t.string(USER),
    name: t.string({
      description:
        'A name, unique among the open contexts of the session: 1 to 128 characters. It makes the call safe to repeat: if an open context has the name, the call returns that context.',
    }),
    workingDirectory: t.string({
      description:
        'The folder in which its kernels begin, relative to the home or absolute. It must exist. Default: the home.',
    }),
  }),
});

const DeleteContextInput = builder.inputType('DeleteContextInput', {
  description: 'The context to delete, and its user.',
  fields: (t) => ({
    userUuid: t.string(USER),
    contextId: t.id({ required: true, description: 'The id of the context.' }),
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
      contextId: t.exposeID('contextId', {
        description: 'The id of the context, as the call named it.',
      }),
    }),
  });

builder.queryField('context', (t) =>
  t.field({
    type: Context,
    nullable: true,
    description: 'The context with this id, open or ended. Null if there is none.',
    args: {
      id: t.arg.id({
        required: true,
        description: 'The id of the context. That of a default context is the id of its session.',
      }),
    },
    resolve: (_root, { id }, { service, principal }) => service.context(principal, id),
  }),
);

builder.queryField('contexts', (t) =>
  t.field({
    type: [Context],
    description:
      "The open contexts of the user's open session, the default one first. Empty if there is no open session.",
    args: { userUuid: t.arg.string(USER) },
    resolve: async (_root, { userUuid }, { service, principal, answer }, info) => [
      ...answer(info).listItems(await service.contexts(principal, userUuid)),
    ],
  }),
);

builder.mutationFields((t) => ({
  createContext: t.field({
    type: Context,
    description:
      "Creates a context in the user's session. A session has at most MAX_CONTEXTS beside its default one. Answers when the kernel of the context is ready, or after 30 s with the status STARTING. Opens a session if there is none.",
    args: {
      input: t.arg({
        type: CreateContextInput,
        required: true,
        description: 'The user and the context.',
      }),
    },
    resolve: (_root, { input }, { service, principal, gone }) =>
      service.createContext(principal, { ...input, gone }),
  }),
  deleteContext: t.field({
    type: DeleteContextPayload,
    description:
      "Deletes a context of the user's open session, and answers when its processes have ended. Running code ends as INTERRUPTED, queued code as CANCELLED. Files stay. If there is no such context, the call succeeds with `deleted: false`. The default context cannot be deleted.",
    args: {
      input: t.arg({ type: DeleteContextInput, required: true, description: 'What to delete.' }),
    },
    resolve: async (_root, { input: { userUuid, contextId } }, { service, principal }) => ({
      contextId,
      deleted: await service.deleteContext(principal, userUuid, contextId),
    }),
  }),
}));

export const Session = builder.objectRef<SessionRow>('Session').implement({
  description:
    'Binds a user to one worker. Variables and files stay until it ends. Its options are fixed when it opens.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'The id of the session.' }),
    userUuid: t.exposeString('userUuid', { description: 'The user.' }),
    openedAt: t.expose('openedAt', {
      type: 'DateTime',
      description: 'When the session got its worker.',
    }),
    lastActiveAt: t.field({
      type: 'DateTime',
      description:
        'When the session was last used. Its idle time counts from here. A session is not idle while a cell runs in it, or a command with keepAlive.',
      resolve: (session, _args, context, info) => context.answer(info).lastActiveAt(session),
    }),
    expiresAt: t.field({
      type: 'DateTime',
      nullable: true,
      description:
        'When the session ends, even if it is in use. `extendSession` changes this time. Null once the session has ended.',
      resolve: (session, _args, context, info) =>
        context.answer(info).sessionTimes(session).expiresAt,
    }),
    idleTimeoutMs: t.field({
      type: 'Int53',
      description: 'How many milliseconds the session may be unused before it ends.',
      resolve: (session, _args, context, info) =>
        context.answer(info).sessionTimes(session).idleTimeoutMs,
    }),
    metadata: t.field({
      type: [MetadataEntry],
      description: 'The metadata from `openSession`, in the order of the keys.',
      resolve: ({ metadata }) => Object.entries(metadata).map(([key, value]) => ({ key, value })),
    }),
    environmentVariableNames: t.exposeStringList('environmentVariableNames', {
      description:
        'The names of its environment variables, in alphabetical order. No answer contains their values.',
    }),
    egressAllow: t.exposeStringList('egressAllow', {
      nullable: true,
      description:
        'The hosts that its code may reach, from `openSession`. Null: all that the tenant may reach.',
    }),
    closedAt: t.expose('closedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When the session ended. Null while it is open.',
    }),
    closeReason: t.expose('closeReason', {
      type: CloseReason,
      nullable: true,
      description: 'Why the session ended. Null while it is open.',
    }),
    kernelRestarts: t.exposeInt('kernelRestarts', {
      description:
        'How often the kernel of its default context was replaced. Each time, its variables were lost.',
    }),
    contexts: t.field({
      type: [Context],
      description: 'Its open contexts, the default one first. Empty once the session has ended.',
      resolve: async (session, _args, context, info) => {
        const answer = context.answer(info);
        return [...answer.listItems(await answer.contexts(session))];
      },
    }),
    environment: t.field({
      type: Environment,
      nullable: true,
      description: 'The version of its environment, which never changes. Null if it has none.',
      resolve: async (session, _args, context, info) => {
        if (session.environment === null) return null;
        const answer = context.answer(info);
        const worker = await answer.worker(session.workerId);
        return worker && (await answer.environmentOf(worker));
      },
    }),
    worker: t.field({
      type: Worker,
      nullable: true,
      description: 'The worker of the session.',
      resolve: ({ workerId }, _args, context, info) => context.answer(info).worker(workerId),
    }),
  }),
});

builder.objectField(Context, 'session', (t) =>
  t.field({
    type: Session,
    description: 'The session whose kernel it is.',
    resolve: ({ sessionId }, _args, context, info) => requireSession(context, info, sessionId),
  }),
);

builder.objectField(Worker, 'session', (t) =>
  t.field({
    type: Session,
    nullable: true,
    description: 'The session that it serves or has served. Null if it has had none.',
    resolve: ({ sessionId }, _args, context, info) =>
      sessionId && context.answer(info).session(sessionId),
  }),
);

/** The session, which is known to exist. @throws Error if it was deleted in this moment */
export async function requireSession(
  { answer }: SchemaContext,
  info: { readonly rootValue: unknown },
  id: SessionRow['id'],
): Promise<SessionRow> {
  const session = await answer(info).session(id);
  if (!session) throw new Error(`The session ${id} does not exist.`);
  return session;
}

/** The argument of lists that names a tenant. */
export const TENANT_FILTER = {
  description: 'The tenant. Left out: that of the caller. Only operators may name another one.',
} as const;

/** The type of the argument of lists that filters by the metadata of sessions. */
export const METADATA_FILTER = [MetadataEntryInput] as [typeof MetadataEntryInput];

builder.queryFields((t) => ({
  session: t.field({
    type: Session,
    nullable: true,
    description:
      "The session with this id, or the user's last session. It may be open or closed. Null if there is none. Give either `id` or `userUuid`.",
    args: {
      id: t.arg.id({ description: 'The id of the session.' }),
      userUuid: t.arg.string({ description: 'The user whose last session it is.' }),
    },
    resolve: (_root, { id, userUuid }, { service, principal }) => {
      if (id != null && userUuid == null) return service.sessionById(principal, id);
      if (userUuid != null && id == null) return service.session(principal, userUuid);
      return refuse('id', 'or userUuid must be given, and not both', {});
    },
  }),
  sessions: t.field({
    type: connectionOf('Session', Session),
    description: 'Sessions, the last opened first unless `oldestFirst` is true.',
    args: {
      tenant: t.arg.string(TENANT_FILTER),
      userUuid: t.arg.string({ description: 'Only sessions of this user.' }),
      isOpen: t.arg.boolean({
        description: 'True: only open sessions. False: only closed sessions.',
      }),
      from: t.arg({
        type: 'DateTime',
        description: 'Only sessions opened at this time or later.',
      }),
      oldestFirst: t.arg.boolean({
        description: 'True: the oldest session comes first, and new ones come at the end.',
      }),
      metadata: t.arg({
        type: METADATA_FILTER,
        description: 'Only sessions whose metadata contain all these entries.',
      }),
      ...pageArgs,
    },
    resolve: (_root, { first, after, metadata, ...filter }, { service, principal }) =>
      service.sessions(
        principal,
        { ...filter, metadata: metadata && metadataOf(metadata) },
        { first, after },
      ),
  }),
}));

const RestartKernelInput = builder.inputType('RestartKernelInput', {
  description: 'A user, and the context whose kernel is replaced.',
  fields: (t) => ({
    userUuid: t.string(USER),
    contextId: t.id({
      description: 'The context whose kernel is replaced. Null: the default context.',
    }),
  }),
});

builder.mutationField('restartKernel', (t) =>
  t.field({
    type: Session,
    description:
      "Replaces a kernel of the user's open session, and answers when the new one is ready. The variables of the context are lost, and files stay. The running execution of the context ends as INTERRUPTED.",
    args: {
      input: t.arg({
        type: RestartKernelInput,
        required: true,
        description: 'Which kernel to replace.',
      }),
    },
    resolve: (_root, { input: { userUuid, contextId } }, { service, principal }) =>
      service.restartKernel(principal, userUuid, contextId),
  }),
);

// `openSession` and `extendSession`.

const OpenSessionInput = builder.inputType('OpenSessionInput', {
  description:
    'A user, and the options of their session. An option that is null gets its default. If the user has an open session, its options must be the same.',
  fields: (t) => ({
    userUuid: t.string(USER),
    environmentVariables: t.field({
      type: [EnvironmentVariableInput],
      description:
        'Environment variables of the code and of what it starts: at most MAX_ENVIRONMENT_VARIABLES, of MAX_ENVIRONMENT_BYTES together.',
    }),
    metadata: t.field({
      type: [MetadataEntryInput],
      description:
        'Notes on the session, by which lists can be filtered. Each key may occur once. At most MAX_SESSION_METADATA_KEYS keys and MAX_SESSION_METADATA_BYTES in UTF-8.',
    }),
    idleTimeoutMs: t.field({
      type: 'Int53',
      description:
        'How many milliseconds the session may be unused before it ends: at least 1,000, at most LONGEST_SESSION_LIFE_MS. Default SESSION_IDLE_TIMEOUT_MS.',
    }),
    maxLifeMs: t.field({
      type: 'Int53',
      description:
        'How many milliseconds the session lives from its opening, even if it is in use: at least 1,000, at most LONGEST_SESSION_LIFE_MS. Default SESSION_MAX_LIFE_MS.',
    }),
    egressAllow: t.stringList({
      description:
        'The hosts that the code may reach, such as pypi.org or *.example.org:8443, at most 64. EGRESS_ALLOW and the tenant must allow them, too. Left out: all allowed hosts. An empty list: no host.',
    }),
    environment: t.string({
      description:
        'The name of the environment whose packages the session has, in its newest version that is ready. Null: only the packages of the worker image.',
    }),
    waitForWorkerMs: t.int({
      description:
        'How long to wait for a worker, in milliseconds, including the time to make one. Default and maximum WORKER_WAIT_TIMEOUT_MS.',
    }),
  }),
});

const ExtendSessionInput = builder.inputType('ExtendSessionInput', {
  description: 'A user, and how long their session may live from now on.',
  fields: (t) => ({
    userUuid: t.string(USER),
    lifeMs: t.field({
      type: 'Int53',
      required: true,
      description:
        'Milliseconds from now. 0 ends the session at once. A session lives at most LONGEST_SESSION_LIFE_MS from its opening.',
    }),
  }),
});

builder.mutationFields((t) => ({
  openSession: t.field({
    type: Session,
    description:
      "Opens the user's session with options, or returns the open one if its options are the same. Answers when the session has a worker. Runs no code.",
    args: {
      input: t.arg({
        type: OpenSessionInput,
        required: true,
        description: 'The user and the options.',
      }),
    },
    resolve: (_root, { input: { metadata, ...input } }, { service, principal, gone }) =>
      service.openSession(principal, {
        ...input,
        metadata: metadata && metadataOf(metadata),
        gone,
      }),
  }),
  extendSession: t.field({
    type: Session,
    description:
      "Makes the user's open session end `lifeMs` from now, which may be later or earlier than before.",
    args: {
      input: t.arg({
        type: ExtendSessionInput,
        required: true,
        description: 'The user, and how long their session may live.',
      }),
    },
    resolve: (_root, { input: { userUuid, lifeMs } }, { service, principal }) =>
      service.extendSession(principal, userUuid, lifeMs),
  }),
}));

// `release`, which ends a session.

const ReleasePayload = builder
  .objectRef<{ userUuid: string; session: SessionRow | null }>('ReleasePayload')
  .implement({
    description: 'The result of `release`.',
    fields: (t) => ({
      released: t.boolean({
        description: 'Whether there was an open session to end.',
        resolve: ({ session }) => session !== null,
      }),
      userUuid: t.exposeString('userUuid', { description: 'The user, as the call named them.' }),
      session: t.field({
        type: Session,
        nullable: true,
        description: 'The session that was ended. Null if there was none.',
        resolve: ({ session }) => session,
      }),
    }),
  });

const ReleaseInput = builder.inputType('ReleaseInput', {
  description: 'The user whose session ends.',
  fields: (t) => ({
    userUuid: t.string(USER),
  }),
});

builder.mutationField('release', (t) =>
  t.field({
    type: ReleasePayload,
    description:
      "Ends the user's session and removes its worker. If there is no open session, the call succeeds with `released: false`.",
    args: {
      input: t.arg({
        type: ReleaseInput,
        required: true,
        description: 'The user whose session ends.',
      }),
    },
    resolve: async (_root, { input: { userUuid } }, { service, principal }) => ({
      userUuid,
      session: await service.release(principal, userUuid),
    }),
  }),
);
