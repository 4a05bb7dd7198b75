/** `Session` and its contexts: opening, changing and ending them. */
import type { Session as SessionRow } from '../domain/session.ts';
import type { ContextView } from '../service/contexts/contexts.ts';
import { builder } from './builder.ts';
import { connectionOf, pageArgs } from './connection.ts';
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

// `Context`, with `contexts`, `createContext` and `deleteContext`.

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

export const Session = builder.objectRef<SessionRow>('Session').implement({
  description:
    'Binds a user to one worker. Files live as long as the session does. Its options are fixed when it opens.',
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
        'When its life ends, even if it is in use. `extendSession` moves this time. Null once the session has ended.',
      resolve: (session, _args, context, info) =>
        context.answer(info).sessionTimes(session).expiresAt,
    }),
    idleTimeoutMs: t.float({
      description: 'The session ends after so many milliseconds without a use.',
      resolve: (session, _args, context, info) =>
        context.answer(info).sessionTimes(session).idleTimeoutMs,
    }),
    metadata: t.expose('metadata', {
      type: 'JSON',
      description: 'The metadata from `openSession`: an object of strings. Empty if there is none.',
    }),
    environmentVariableNames: t.exposeStringList('environmentVariableNames', {
      description:
        'The names of its environment variables, in alphabetical order. No answer contains their values.',
    }),
    egressAllow: t.exposeStringList('egressAllow', {
      nullable: true,
      description:
        'The hosts that its code may reach, if `openSession` narrowed them. Null: all that the tenant may reach.',
    }),
    closedAt: t.expose('closedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When the session ended. Null while it is open.',
    }),
    closeReason: t.exposeString('closeReason', {
      nullable: true,
      description:
        'Why the session ended: released, idle, expired, worker-lost or shutdown. Null while it is open.',
    }),
    kernelRestarts: t.exposeInt('kernelRestarts', {
      description:
        'How often the kernel of its default context was replaced. Each time, its variables were lost.',
    }),
    contexts: t.field({
      type: [Context],
      description: 'Its open contexts, the default one first. Empty once the session has ended.',
      resolve: async (session, _args, context, info) => [
        ...(await context.answer(info).contexts(session)),
      ],
    }),
    environment: t.field({
      type: Environment,
      nullable: true,
      description:
        'The version of its environment, which stays the same as long as it is open. Null: it has none.',
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

/** The argument of lists that names a tenant. */
export const TENANT_FILTER = {
  description: 'Left out: the tenant of the caller. Others are for operators.',
} as const;

/** The argument of lists that filters by the metadata of sessions. */
export const METADATA_FILTER = {
  type: 'JSON',
  description:
    'Only sessions whose metadata have all these pairs of key and value: an object of strings.',
} as const;

builder.queryFields((t) => ({
  session: t.field({
    type: Session,
    nullable: true,
    description: "The user's last session, open or closed. Null if there was none.",
    args: { userUuid: t.arg.string({ required: true, description: 'The user.' }) },
    resolve: (_root, { userUuid }, { service, principal }) => service.session(principal, userUuid),
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
        description: 'True: the first opened come first, so that new ones come at the end.',
      }),
      metadata: t.arg(METADATA_FILTER),
      ...pageArgs,
    },
    resolve: (_root, { first, after, ...filter }, { service, principal }) =>
      service.sessions(principal, filter, { first, after }),
  }),
}));

builder.mutationField('restartKernel', (t) =>
  t.field({
    type: Session,
    description:
      "Replaces a kernel of the user's open session, and answers when the new one is ready. The variables of its context are lost, and files stay. An execution that runs in it ends as INTERRUPTED.",
    args: {
      userUuid: t.arg.string({ required: true, description: 'The user.' }),
      contextId: t.arg.id({ description: 'Whose kernel. Null: that of the default context.' }),
    },
    resolve: (_root, { userUuid, contextId }, { service, principal }) =>
      service.restartKernel(principal, userUuid, contextId),
  }),
);

// `openSession` and `extendSession`.

const OpenSessionInput = builder.inputType('OpenSessionInput', {
  description:
    'A user, and what the session of the user shall be. Options that are null are not asked for.',
  fields: (t) => ({
    userUuid: t.string({ required: true, description: 'The user.' }),
    environmentVariables: t.field({
      type: [EnvironmentVariableInput],
      description:
        'Environment variables of the code and of what it starts: at most MAX_ENVIRONMENT_VARIABLES, of MAX_ENVIRONMENT_BYTES together.',
    }),
    metadata: t.field({
      type: 'JSON',
      description:
        'Notes on the session, which lists can be filtered by: an object of strings. At most MAX_SESSION_METADATA_KEYS keys and MAX_SESSION_METADATA_BYTES in UTF-8.',
    }),
    idleTimeoutMs: t.float({
      description:
        'The session ends after so many milliseconds without a use: at least 1,000, at most LONGEST_SESSION_LIFE_MS. Default SESSION_IDLE_TIMEOUT_MS.',
    }),
    maxLifeMs: t.float({
      description:
        'The session ends so many milliseconds after its opening, even if it is in use: at least 1,000, at most LONGEST_SESSION_LIFE_MS. Default SESSION_MAX_LIFE_MS.',
    }),
    egressAllow: t.stringList({
      description:
        'The hosts that the code may reach, such as pypi.org or *.example.org:8443, at most 64. They only narrow what EGRESS_ALLOW and the tenant allow. Left out: all of that. An empty list: nothing.',
    }),
    environment: t.string({
      description:
        'The name of the environment whose packages the session has, in its newest version that is ready. Null: those of the worker image alone.',
    }),
    waitForWorkerMs: t.int({
      description:
        'How long to wait for a worker, in milliseconds, including its creation. Default and maximum WORKER_WAIT_TIMEOUT_MS.',
    }),
  }),
});

builder.mutationFields((t) => ({
  openSession: t.field({
    type: Session,
    description:
      "Opens the user's session with options, or returns the open one if its options are the same. Answers when the session has its worker. Runs no code.",
    args: {
      input: t.arg({
        type: OpenSessionInput,
        required: true,
        description: 'The user and the options.',
      }),
    },
    resolve: (_root, { input }, { service, principal }) => service.openSession(principal, input),
  }),
  extendSession: t.field({
    type: Session,
    description:
      "Moves the end of the life of the user's open session to so many milliseconds from now, later or earlier than before.",
    args: {
      userUuid: t.arg.string({ required: true, description: 'The user.' }),
      lifeMs: t.arg.float({
        required: true,
        description:
          'Milliseconds from now. 0 ends the session at once. Counted from its opening, the session lives at most LONGEST_SESSION_LIFE_MS.',
      }),
    },
    resolve: (_root, { userUuid, lifeMs }, { service, principal }) =>
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
      userUuid: t.exposeString('userUuid', { description: 'The user from the input.' }),
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
    userUuid: t.string({ required: true, description: 'The user.' }),
  }),
});

builder.mutationField('release', (t) =>
  t.field({
    type: ReleasePayload,
    description:
      "Ends the user's session and removes its worker. Without an open session it succeeds with `released: false`.",
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
