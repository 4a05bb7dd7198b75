/** `Session`, with its queries and `restartKernel`. */
import type { Session as SessionRow } from '../../domain/session.ts';
import { builder } from '../builder.ts';
import { connectionOf, pageArgs } from '../connection.ts';
import { Environment } from '../environment/environment.ts';
import { Worker } from '../pool/worker.ts';
import { Context } from './sessionContext.ts';

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
        'When the session was last used. Its idle time counts from here. A session with a running execution is never idle.',
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
