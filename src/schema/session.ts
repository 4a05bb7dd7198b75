/** `Session`, and what can be done to one. */
import type { Session as SessionRow } from '../domain/session.ts';
import { builder } from './builder.ts';
import { Worker } from './worker.ts';

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
      resolve: (session, _args, context, { rootValue }) =>
        context.response(rootValue).load.lastActiveAt.load(session),
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
      resolve: (session, _args, context, { rootValue }) =>
        context.response(rootValue).load.worker.load(session.workerId),
    }),
  }),
});

const ReleasePayload = builder
  .objectRef<{ userUuid: string; session: SessionRow | null }>('ReleasePayload')
  .implement({
    description: 'What `release` did.',
    fields: (t) => ({
      released: t.boolean({
        description: 'Whether there was an open session to end.',
        resolve: ({ session }) => session !== null,
      }),
      userUuid: t.exposeString('userUuid', { description: 'The user that was asked for.' }),
      session: t.field({
        type: Session,
        nullable: true,
        description: 'The session that was ended.',
        resolve: ({ session }) => session,
      }),
    }),
  });

const ReleaseInput = builder.inputType('ReleaseInput', {
  description: 'Whose session to end.',
  fields: (t) => ({
    userUuid: t.string({ required: true, description: 'The user.' }),
  }),
});

builder.queryField('session', (t) =>
  t.field({
    type: Session,
    nullable: true,
    description: "The user's open session, else the last one there was; null if there was none.",
    args: { userUuid: t.arg.string({ required: true, description: 'The user.' }) },
    resolve: (_root, { userUuid }, { service, principal }) => service.session(principal, userUuid),
  }),
);

builder.mutationFields((t) => ({
  restartKernel: t.field({
    type: Session,
    description: 'A fresh kernel in the same session: variables are lost, files stay.',
    args: { userUuid: t.arg.string({ required: true, description: 'The user.' }) },
    resolve: (_root, { userUuid }, { service, principal }) =>
      service.restartKernel(principal, userUuid),
  }),
  release: t.field({
    type: ReleasePayload,
    description:
      'Ends the session and removes its worker. Releasing what is not there succeeds with released: false.',
    args: { input: t.arg({ type: ReleaseInput, required: true, description: 'Whose session.' }) },
    resolve: async (_root, { input: { userUuid } }, { service, principal }) => ({
      userUuid,
      session: await service.release(principal, userUuid),
    }),
  }),
}));
