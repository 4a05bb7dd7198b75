/** `Token`, and the operations on tokens, which are for operators. */
import { DOORS, type UsedToken } from '../../domain/token.ts';
import type { TokenWithSecret } from '../../service/access/createToken.ts';
import { builder } from '../builder.ts';
import { Role } from './role.ts';

const WIRES = `one of ${DOORS.map((door) => `\`${door}\``).join(', ')}`;

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
      description: 'It is for the users whose name begins so. Null: for one, or for all.',
    }),
    door: t.exposeString('door', {
      nullable: true,
      description: `The only wire it works on: ${WIRES}. Null: all.`,
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

const CreatedToken = builder.objectRef<TokenWithSecret>('CreatedToken').implement({
  description: 'A token, and its secret.',
  fields: (t) => ({
    token: t.expose('token', { type: Token, description: 'The token.' }),
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
        'Like a name. Left out: the tenant of the caller. A new name makes a new tenant.',
    }),
    userUuid: t.string({
      description: 'The only user, for the role USER, which needs this or `userPrefix`.',
    }),
    userPrefix: t.string({ description: 'It is for the users whose name begins so.' }),
    door: t.string({ description: `The only wire: ${WIRES}. Left out: all.` }),
    expiresAt: t.field({
      type: 'DateTime',
      description: 'From then on it lets nobody in. Left out: it does not end by itself.',
    }),
  }),
});

const id = { required: true, description: 'The id of the token.' } as const;

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
    type: [Token],
    description:
      'All tokens, the newest first, those that let nobody in any more included. AUTH_TOKEN is not among them.',
    resolve: async (_root, _args, { service, principal }) => [...(await service.tokens(principal))],
  }),
);

builder.mutationFields((t) => ({
  createToken: t.field({
    type: CreatedToken,
    description: 'Makes a token. It is valid at once, at every gateway.',
    args: {
      input: t.arg({ type: CreateTokenInput, required: true, description: 'What it is to be.' }),
    },
    resolve: (_root, { input }, { service, principal }) => service.createToken(principal, input),
  }),
  rotateToken: t.field({
    type: CreatedToken,
    description: 'Gives a token another secret.',
    args: {
      id: t.arg.id(id),
      formerValidMs: t.arg.float({
        defaultValue: 0,
        description: 'How long the former secret stays valid, in ms: at most 30 days.',
      }),
    },
    resolve: (_root, { id: tokenId, formerValidMs }, { service, principal }) =>
      service.rotateToken(principal, tokenId, formerValidMs ?? 0),
  }),
  revokeToken: t.field({
    type: Token,
    description:
      'Within a second, the token lets nobody in any more, and what its holder has open ends. Code that runs goes on. A token that is revoked already stays so.',
    args: { id: t.arg.id(id) },
    resolve: (_root, { id: tokenId }, { service, principal }) =>
      service.revokeToken(principal, tokenId),
  }),
}));
