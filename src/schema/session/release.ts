/** `release`, which ends a session. */
import type { Session as SessionRow } from '../../domain/session.ts';
import { builder } from '../builder.ts';
import { Session } from './session.ts';

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
