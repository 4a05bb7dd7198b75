/** `SessionSnapshot`: a session as it was at an earlier time. */
import type { SessionAt } from '../../service/history/sessionAt.ts';
import { builder } from '../builder.ts';
import { Execution } from '../execution/execution.ts';
import { AT } from '../scalars.ts';

const SessionSnapshot = builder.objectRef<SessionAt>('SessionSnapshot').implement({
  description: 'A session as it was at an earlier time, folded from its events.',
  fields: (t) => ({
    at: t.expose('at', { type: 'DateTime', description: 'The time from the query.' }),
    id: t.id({ description: 'The id of the session.', resolve: ({ session }) => session.id }),
    userUuid: t.string({
      description: 'The user.',
      resolve: ({ session }) => session.userUuid,
    }),
    workerId: t.id({ description: 'Its worker.', resolve: ({ session }) => session.workerId }),
    openedAt: t.field({
      type: 'DateTime',
      description: 'When the session got its worker.',
      resolve: ({ session }) => session.openedAt,
    }),
    kernelRestarts: t.int({
      description: 'How often its kernel had been replaced by then.',
      resolve: ({ session }) => session.kernelRestarts,
    }),
    unfinishedExecutions: t.expose('unfinished', {
      type: [Execution],
      description: 'The executions that were unfinished at that time, in their current state.',
    }),
  }),
});

builder.queryField('sessionAt', (t) =>
  t.field({
    type: SessionSnapshot,
    nullable: true,
    description:
      'The session that a user had open at a time. Null if there was none, or if its events were pruned.',
    args: { userUuid: t.arg.string({ required: true, description: 'The user.' }), at: t.arg(AT) },
    resolve: (_root, { userUuid, at }, { service, principal }) =>
      service.sessionAt(principal, userUuid, at),
  }),
);
