/** `Quota`, and the operations on quotas. */
import type { QuotaView } from '../../service/quotas/quotas.ts';
import { builder } from '../builder.ts';

const QuotaKind = builder.enumType('QuotaKind', {
  description: 'What a quota limits.',
  values: {
    OPEN_SESSIONS: { description: 'Sessions that are open.' },
    QUEUED_EXECUTIONS: {
      description:
        'Executions that wait for others of their context, and commands that wait for a place.',
    },
    RUNNING_EXECUTIONS: {
      description: 'Executions that wait for no other. They count from their acceptance.',
    },
    EXECUTIONS_PER_MINUTE: {
      description: "Executions that were accepted since the full minute of the database's clock.",
    },
    CPU_SECONDS_PER_DAY: {
      description: 'CPU time of executions that have ended today (UTC), in seconds.',
    },
    OUTPUT_BYTES_PER_DAY: {
      description: 'Output of executions that have ended today (UTC), in bytes.',
    },
    STORED_BYTES: {
      description:
        'Code and input of executions, and output of those that have ended, that is stored until it is pruned, in bytes.',
    },
  } as const,
});

const Quota = builder.objectRef<QuotaView>('Quota').implement({
  description: 'How much of one kind a tenant, or one of its users, may use, and uses now.',
  fields: (t) => ({
    kind: t.expose('kind', { type: QuotaKind, description: 'What is limited.' }),
    limit: t.exposeFloat('limit', {
      nullable: true,
      description:
        'The limit in force: the one that was set, or else that of the setting. Null: none.',
    }),
    used: t.exposeFloat('used', { description: 'How much is used now.' }),
    tenant: t.exposeString('tenant', { description: 'The tenant.' }),
    userUuid: t.exposeString('userUuid', {
      nullable: true,
      description: 'The user. Null: all users of the tenant together.',
    }),
  }),
});

const SetQuotaInput = builder.inputType('SetQuotaInput', {
  description: 'A limit for a tenant, or for one of its users.',
  fields: (t) => ({
    kind: t.field({ type: QuotaKind, required: true, description: 'What is limited.' }),
    limit: t.float({
      description: '0 to 10^15. Null or left out: no limit, whatever the setting says.',
    }),
    reset: t.boolean({
      defaultValue: false,
      description:
        'True: the setting holds again, as if nothing had been set. `limit` must be left out then.',
    }),
    tenant: t.string({
      description:
        '1 to 64 of the characters A-Z a-z 0-9 . _ - Left out: the tenant of the caller.',
    }),
    userUuid: t.string({
      description: '1 to 128 characters. Left out: all users of the tenant together.',
    }),
  }),
});

builder.queryField('quotas', (t) =>
  t.field({
    type: [Quota],
    description: 'The quotas of a tenant, or of one of its users: one of each kind.',
    args: {
      tenant: t.arg.string({
        description: 'Left out: the tenant of the caller. Others are for operators.',
      }),
      userUuid: t.arg.string({
        description:
          'Left out: the tenant, with all of its users. With a token for one user, that user.',
      }),
    },
    resolve: async (_root, args, { service, principal }) => [
      ...(await service.quotas(principal, args)),
    ],
  }),
);

builder.mutationField('setQuota', (t) =>
  t.field({
    type: Quota,
    description:
      'Sets a limit in place of the setting, or lets the setting hold again, for operators. What is used already stays, even above the limit.',
    args: {
      input: t.arg({
        type: SetQuotaInput,
        required: true,
        description: 'Whose limit, and how high.',
      }),
    },
    resolve: (_root, { input }, { service, principal }) => service.setQuota(principal, input),
  }),
);
