/** `Session`: asked for, listed, and given a fresh kernel. */
import type { Session as SessionRow } from '../../domain/session.ts';
import { builder } from '../builder.ts';
import { connectionOf, pageArgs } from '../connection.ts';
import { Worker } from '../pool/worker.ts';

export const Session = builder.objectRef<SessionRow>('Session').implement({
  description: "A user's binding to one worker: variables and files live as long as it does.",
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Its id.' }),
    userUuid: t.exposeString('userUuid', { description: 'Whose it is.' }),
    openedAt: t.expose('openedAt', { type: 'DateTime', description: 'When it got its worker.' }),
    lastActiveAt: t.field({
      type: 'DateTime',
      description:
        'The last sign of use: idle time counts from here. A running execution is never idle.',
      resolve: (session, _args, context, info) => context.answer(info).lastActiveAt(session),
    }),
    closedAt: t.expose('closedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it ended; null while it is open.',
    }),
    closeReason: t.exposeString('closeReason', {
      nullable: true,
      description: 'How it ended: released, idle, expired, worker-lost or shutdown.',
    }),
    kernelRestarts: t.exposeInt('kernelRestarts', {
      description: 'How often its kernel was replaced; each time variables were lost.',
    }),
    worker: t.field({
      type: Worker,
      nullable: true,
      description: 'The worker it is, or was, bound to.',
      resolve: ({ workerId }, _args, context, info) => context.answer(info).worker(workerId),
    }),
  }),
});

builder.queryFields((t) => ({
  session: t.field({
    type: Session,
    nullable: true,
    description: "The user's open session, else the last one there was; null if there was none.",
    args: { userUuid: t.arg.string({ required: true, description: 'The user.' }) },
    resolve: (_root, { userUuid }, { service, principal }) => service.session(principal, userUuid),
  }),
  sessions: t.field({
    type: connectionOf('Session', Session),
    description: 'Sessions, the last opened first.',
    args: {
      userUuid: t.arg.string({ description: 'Only of this user.' }),
      isOpen: t.arg.boolean({
        description: 'Only those that are open, or only those that are not.',
      }),
      ...pageArgs,
    },
    resolve: (_root, { first, after, ...filter }, { service, principal }) =>
      service.sessions(principal, filter, { first, after }),
  }),
}));

builder.mutationField('restartKernel', (t) =>
  t.field({
    type: Session,
    description: 'A fresh kernel in the same session: variables are lost, files stay.',
    args: { userUuid: t.arg.string({ required: true, description: 'The user.' }) },
    resolve: (_root, { userUuid }, { service, principal }) =>
      service.restartKernel(principal, userUuid),
  }),
);
