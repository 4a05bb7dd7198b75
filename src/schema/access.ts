/** Who may do what, and how much: `Token`, `Quota` and `Viewer`. */
import type { UsedToken } from '../domain/token.ts';
import type { TokenWithSecret } from '../service/access/tokens.ts';
import type { Principal } from '../service/principal.ts';
import type { QuotaView } from '../service/quotas/quotas.ts';
import { builder, connectionOf, pageArgs } from './builder.ts';
import { Door } from './enums.ts';

export const Role = builder.enumType('Role', {
  description: 'What a token allows.',
  values: {
    OPERATOR: { description: 'May do everything, for all tenants.' },
    TENANT: {
      description: 'May do everything that needs no operator, for all users of one tenant.',
    },
    USER: {
      description:
        'May do most of what needs no operator, for one user of a tenant, or for users whose name begins with a certain text.',
    },
    AUDITOR: {
      description: 'May read lists and history of one tenant. Runs and changes nothing.',
    },
  } as const,
});

// `Token`, and the operations on tokens, which are for operators.

const Token = builder.objectRef<UsedToken>('Token').implement({
  description:
    'A token, with which a caller may use Cellhouse. Only `createToken` and `rotateToken` return its secret.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'The id of the token, which is no secret.' }),
    name: t.exposeString('name', { description: 'Its name, for operators.' }),
    role: t.expose('role', { type: Role, description: 'What the token allows.' }),
    tenant: t.exposeString('tenant', {
      description: 'The tenant that the token is for. OPERATOR reaches all tenants.',
    }),
    userUuid: t.exposeString('userUuid', {
      nullable: true,
      description: 'The only user that it is for. Null: it is for several.',
    }),
    userPrefix: t.exposeString('userPrefix', {
      nullable: true,
      description:
        'The token is for the users whose name begins with this text. Null: it is for one user, or for all.',
    }),
    door: t.expose('door', {
      type: Door,
      nullable: true,
      description: 'The only interface that takes it. Null: all.',
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was made.' }),
    expiresAt: t.expose('expiresAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When the token expires. Null: never.',
    }),
    lastUsedAt: t.expose('lastUsedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it was last used, to the minute. Null: never.',
    }),
    revokedAt: t.expose('revokedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it was revoked. Null if it was not.',
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
          description:
            'The secret, which clients send with each call. It is not stored, so no later answer has it.',
        }),
      }),
    });

const CreateTokenInput = builder.inputType('CreateTokenInput', {
  description: 'The properties of a new token.',
  fields: (t) => ({
    name: t.string({ required: true, description: '1 to 64 of the characters A-Z a-z 0-9 . _ -' }),
    role: t.field({ type: Role, required: true, description: 'What the token allows.' }),
    tenant: t.string({
      description:
        'The tenant of the token: 1 to 64 of the characters A-Z a-z 0-9 - _ and dot. A new name makes a new tenant. Left out: the tenant of the caller.',
    }),
    userUuid: t.string({
      description: 'The only user that the token is for. The role USER needs this or `userPrefix`.',
    }),
    userPrefix: t.string({
      description:
        'The token is for all users of the tenant whose name begins with this text. Only for the role USER, in place of `userUuid`.',
    }),
    door: t.field({
      type: Door,
      description:
        'The only interface that takes the token: any but CLI. Left out: all interfaces take it.',
    }),
    expiresAt: t.field({
      type: 'DateTime',
      description: 'When the token expires. Left out: never.',
    }),
  }),
});

const id = { required: true, description: 'The id of the token.' } as const;

const RotateTokenInput = builder.inputType('RotateTokenInput', {
  description: 'The token that gets a new secret.',
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
      'All tokens, the newest first, including expired and revoked ones. AUTH_TOKEN is not among them.',
    args: pageArgs,
    resolve: (_root, page, { service, principal }) => service.tokenPage(principal, page),
  }),
);

builder.mutationFields((t) => ({
  createToken: t.field({
    type: withSecret('createToken'),
    description: 'Makes a token. It is valid at once, at every gateway.',
    args: {
      input: t.arg({
        type: CreateTokenInput,
        required: true,
        description: 'The properties of the token.',
      }),
    },
    resolve: (_root, { input }, { service, principal }) => service.createToken(principal, input),
  }),
  rotateToken: t.field({
    type: withSecret('rotateToken'),
    description: 'Gives a token a new secret.',
    args: {
      input: t.arg({ type: RotateTokenInput, required: true, description: 'The token.' }),
    },
    resolve: (_root, { input }, { service, principal }) =>
      service.rotateToken(principal, input.id, input.formerValidMs ?? 0),
  }),
  revokeToken: t.field({
    type: Token,
    description:
      'Revokes a token. Within a second, calls with it are refused, and its open connections end. Running code continues. A repeated call changes nothing.',
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
        'Executions that wait for earlier ones of their context, and commands that wait because MAX_COMMANDS run.',
    },
    RUNNING_EXECUTIONS: {
      description:
        'Executions that do not wait for others. They count as soon as they are accepted.',
    },
    EXECUTIONS_PER_MINUTE: {
      description: "Executions that were accepted in the current minute of the database's clock.",
    },
    CPU_SECONDS_PER_DAY: {
      description: 'CPU time of executions that have ended today (UTC), in seconds.',
    },
    OUTPUT_BYTES_PER_DAY: {
      description: 'Output of executions that have ended today (UTC), in bytes.',
    },
    STORED_BYTES: {
      description:
        'Stored code and input of executions, and stored output of ended executions, in bytes. Pruning reduces it.',
    },
  } as const,
});

const Quota = builder.objectRef<QuotaView>('Quota').implement({
  description: 'A limit for a tenant or one of its users, and how much is used now.',
  fields: (t) => ({
    kind: t.expose('kind', { type: QuotaKind, description: 'What the quota limits.' }),
    limit: t.expose('limit', {
      type: 'Int53',
      nullable: true,
      description:
        'The limit in force: the one from `setQuota`, or else that of the setting. Null: none.',
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
      description: 'True: the setting applies again. Leave out `limit` then.',
    }),
    tenant: t.string({
      description: '1 to 64 of A-Z a-z 0-9 - _ and dot. Left out: the tenant of the caller.',
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
          'The tenant. Left out: that of the caller. Only operators may name another one.',
      }),
      userUuid: t.arg.string({
        description:
          'The user. Left out: all users of the tenant together, or with a token for one user, that user.',
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
      'Sets a limit in place of the setting, or makes the setting apply again. Only for operators. What is open or runs continues, even above the limit.',
    args: {
      input: t.arg({
        type: SetQuotaInput,
        required: true,
        description: 'The quota, and its limit.',
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
      description: 'The tenant of the caller. Operators see all tenants.',
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
