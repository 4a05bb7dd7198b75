/** Who may do what, and how much: `Token`, `Quota` and `Viewer`. */
import type { UsedToken } from '../domain/token.ts';
import type { TokenWithSecret } from '../service/access/tokens.ts';
import type { Principal } from '../service/principal.ts';
import type { QuotaView } from '../service/quotas/quotas.ts';
import { builder, connectionOf, pageArgs } from './builder.ts';
import { Door } from './enums.ts';

export const Role = builder.enumType('Role', {
  description: 'What the holder of a token may do.',
  values: {
    OPERATOR: { description: 'May do everything, for all tenants.' },
    TENANT: { description: 'May do what needs no operator, for all users of one tenant.' },
    USER: {
      description:
        'May do what needs no operator, for one user of a tenant, or for those whose name begins with a certain text.',
    },
    AUDITOR: {
      description: 'May read lists and history of one tenant. Runs and changes nothing.',
    },
  } as const,
});

// `Token`, and the operations on tokens, which are for operators.

const Token = builder.objectRef<UsedToken>('Token').implement({
  description:
    'What lets a caller in. Its secret is in no answer but that of the call which made it.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'The id of the token, which is no secret.' }),
    name: t.exposeString('name', { description: 'What an operator calls it.' }),
    role: t.expose('role', { type: Role, description: 'What its holder may do.' }),
    tenant: t.exposeString('tenant', { description: 'Whose sessions its holder sees.' }),
    userUuid: t.exposeString('userUuid', {
      nullable: true,
      description: 'The only user it is for. Null: it is for several.',
    }),
    userPrefix: t.exposeString('userPrefix', {
      nullable: true,
      description:
        'The token is for the users whose name begins with this text. Null: it is for one user, or for all.',
    }),
    door: t.expose('door', {
      type: Door,
      nullable: true,
      description: 'The only wire it works on. Null: all.',
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was made.' }),
    expiresAt: t.expose('expiresAt', {
      type: 'DateTime',
      nullable: true,
      description: 'From then on it lets nobody in. Null: it does not end by itself.',
    }),
    lastUsedAt: t.expose('lastUsedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When its holder last called or connected, to the minute. Null: never.',
    }),
    revokedAt: t.expose('revokedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it was revoked. Null: it is not.',
    }),
  }),
});

/** The payload of a mutation that makes a secret. */
const withSecret = (mutation: 'createToken' | 'rotateToken') =>
  builder
    .objectRef<TokenWithSecret>(`${mutation === 'createToken' ? 'Create' : 'Rotate'}TokenPayload`)
    .implement({
      description: `The result of \`${mutation}\`: a token, and its secret.`,
      fields: (t) => ({
        token: t.expose('token', { type: Token, description: 'The token, without its secret.' }),
        secret: t.exposeString('secret', {
          description: 'What its holder sends. Nothing keeps it: read it now or never.',
        }),
      }),
    });

const CreateTokenInput = builder.inputType('CreateTokenInput', {
  description: 'What a new token is to be.',
  fields: (t) => ({
    name: t.string({ required: true, description: '1 to 64 of the characters A-Z a-z 0-9 . _ -' }),
    role: t.field({ type: Role, required: true, description: 'What its holder may do.' }),
    tenant: t.string({
      description:
        'Whose sessions its holder sees: 1 to 64 of the characters A-Z a-z 0-9 . _ - A new name makes a new tenant. Left out: the tenant of the caller.',
    }),
    userUuid: t.string({
      description: 'The only user, for the role USER, which needs this or `userPrefix`.',
    }),
    userPrefix: t.string({
      description:
        'The token is for all users of the tenant whose name begins with this text. Only for the role USER, in place of `userUuid`.',
    }),
    door: t.field({
      type: Door,
      description: 'The only wire that it works on: any but CLI. Left out: all.',
    }),
    expiresAt: t.field({
      type: 'DateTime',
      description: 'From then on it lets nobody in. Left out: it does not end by itself.',
    }),
  }),
});

const id = { required: true, description: 'The id of the token.' } as const;

const RotateTokenInput = builder.inputType('RotateTokenInput', {
  description: 'The token that gets another secret.',
  fields: (t) => ({
    id: t.id(id),
    formerValidMs: t.field({
      type: 'Int53',
      defaultValue: 0,
      description: 'How long the former secret stays valid, in ms: at most 30 days.',
    }),
  }),
});

const RevokeTokenInput = builder.inputType('RevokeTokenInput', {
  description: 'The token to revoke.',
  fields: (t) => ({ id: t.id(id) }),
});

builder.queryField('me', (t) =>
  t.field({
    type: Token,
    nullable: true,
    description: "The caller's own token. Null for AUTH_TOKEN.",
    resolve: (_root, _args, { service, principal }) => service.me(principal),
  }),
);

builder.queryField('tokens', (t) =>
  t.field({
    type: connectionOf('Token', Token),
    description:
      'All tokens, the newest first, those that let nobody in any more included. AUTH_TOKEN is not among them.',
    args: pageArgs,
    resolve: (_root, page, { service, principal }) => service.tokenPage(principal, page),
  }),
);

builder.mutationFields((t) => ({
  createToken: t.field({
    type: withSecret('createToken'),
    description: 'Makes a token. It is valid at once, at every gateway.',
    args: {
      input: t.arg({ type: CreateTokenInput, required: true, description: 'What it is to be.' }),
    },
    resolve: (_root, { input }, { service, principal }) => service.createToken(principal, input),
  }),
  rotateToken: t.field({
    type: withSecret('rotateToken'),
    description: 'Gives a token another secret.',
    args: {
      input: t.arg({ type: RotateTokenInput, required: true, description: 'Which token.' }),
    },
    resolve: (_root, { input }, { service, principal }) =>
      service.rotateToken(principal, input.id, input.formerValidMs ?? 0),
  }),
  revokeToken: t.field({
    type: Token,
    description:
      'Within a second, the token lets nobody in any more, and what its holder has open ends. Code that runs goes on. A token that is revoked already stays so.',
    args: {
      input: t.arg({ type: RevokeTokenInput, required: true, description: 'What to revoke.' }),
    },
    resolve: (_root, { input }, { service, principal }) => service.revokeToken(principal, input.id),
  }),
}));

// `Quota`, and the operations on quotas.

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
    kind: t.expose('kind', { type: QuotaKind, description: 'What the quota limits.' }),
    limit: t.expose('limit', {
      type: 'Int53',
      nullable: true,
      description:
        'The limit in force: the one that was set, or else that of the setting. Null: none.',
    }),
    used: t.field({
      type: 'Int53',
      description: 'How much is used now, in whole units.',
      // Rounded down, so that it does not show the limit before the limit is reached.
      resolve: ({ used }) => Math.floor(used),
    }),
    tenant: t.exposeString('tenant', { description: 'The tenant whose quota it is.' }),
    userUuid: t.exposeString('userUuid', {
      nullable: true,
      description: 'The user. Null: all users of the tenant together.',
    }),
  }),
});

const SetQuotaInput = builder.inputType('SetQuotaInput', {
  description: 'A limit for a tenant, or for one of its users.',
  fields: (t) => ({
    kind: t.field({ type: QuotaKind, required: true, description: 'What the quota limits.' }),
    limit: t.field({
      type: 'Int53',
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
        description:
          'Only of this tenant. Left out: that of the caller. Other tenants are for operators.',
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

// `Viewer`: the caller.

const Viewer = builder.objectRef<Principal>('Viewer').implement({
  description: 'The caller, as the token identifies them.',
  fields: (t) => ({
    tenant: t.exposeString('tenant', {
      description: 'The tenant whose executions and sessions the caller sees.',
    }),
    role: t.expose('role', { type: Role, description: 'What the caller may do.' }),
  }),
});

builder.queryField('version', (t) =>
  t.string({
    description: 'The version of the gateway that answers. Every caller may ask for it.',
    resolve: (_root, _args, { version }) => version,
  }),
);

builder.queryField('viewer', (t) =>
  t.field({
    type: Viewer,
    description: 'The caller, as the token identifies them.',
    resolve: (_root, _args, { principal }) => principal,
  }),
);
