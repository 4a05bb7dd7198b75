/** `SessionSnapshot`: a session as it was at an earlier time. */
import type { SessionAt } from '../../service/history/sessionAt.ts';
import { builder } from '../builder.ts';
import { Execution } from '../execution/execution.ts';
import { AT } from '../scalars.ts';

const SessionSnapshot = builder.objectRef<SessionAt>('SessionSnapshot').implement({
  description: 'A session as it was at an earlier time, folded from its events.',
  fields: (t) => ({
    at: t.expose('at', { type: 'DateTime', description: 'The time that was asked for.' }),
    id: t.id({ description: 'Its id.', resolve: ({ session }) => session.id }),
    userUuid: t.string({
      description: 'Whose it was.',
      resolve: ({ session }) => session.userUuid,
    }),
    workerId: t.id({ description: 'Its worker.', resolve: ({ session }) => session.workerId }),
    openedAt: t.field({
      type: 'DateTime',
      description: 'When it had got its worker.',
      resolve: ({ session }) => session.openedAt,
    }),
    kernelRestarts: t.int({
      description: 'How often its kernel had been replaced by then.',
      resolve: ({ session }) => session.kernelRestarts,
    }),
    unfinishedExecutions: t.expose('unfinished', {
      type: [Execution],
      description: 'What had been accepted and was not over, as it ended later.',
    }),
  }),
});

builder.queryField('sessionAt', (t) =>
  t.field({
    type: SessionSnapshot,
    nullable: true,
    description: 'The session that a user had open at a time; null if none, or if it was pruned.',
    args: { userUuid: t.arg.string({ required: true, description: 'The user.' }), at: t.arg(AT) },
    resolve: (_root, { userUuid, at }, { service, principal }) =>
      service.sessionAt(principal, userUuid, at),
  }),
);
