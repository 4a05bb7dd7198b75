/** `release`, which ends a session. */
import type { Session as SessionRow } from '../../domain/session.ts';
import { builder } from '../builder.ts';
import { Session } from './session.ts';

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

builder.mutationField('release', (t) =>
  t.field({
    type: ReleasePayload,
    description:
      'Ends the session and removes its worker. Releasing what is not there succeeds with released: false.',
    args: { input: t.arg({ type: ReleaseInput, required: true, description: 'Whose session.' }) },
    resolve: async (_root, { input: { userUuid } }, { service, principal }) => ({
      userUuid,
      session: await service.release(principal, userUuid),
    }),
  }),
);
