import { beforeEach, expect, it } from 'vitest';
import { secretHash } from '../../src/domain/secretHash.ts';
import type { Session } from '../../src/domain/session.ts';
import type { Door, Role } from '../../src/domain/token.ts';
import type { Users } from '../../src/domain/users.ts';
import { newId } from '../../src/process/newId.ts';
import { createEnding } from '../../src/service/access/ending.ts';
import { createSessionKeys, type SessionKeys } from '../../src/service/access/sessionKeys.ts';
import type { KnownToken } from '../../src/service/access/tokenBook.ts';
import { AUTH_TOKEN_BY_DOOR, byDoor, type Principal } from '../../src/service/principal.ts';

interface Asked {
  readonly role?: Role;
  readonly tenant?: string;
  readonly users?: Users | null;
  readonly door?: Door | null;
  readonly secrets?: readonly string[];
}

function tokenOf({
  role = 'TENANT',
  tenant = 'blue',
  users = null,
  door = null,
  secrets,
}: Asked = {}) {
  const id = newId();
  const ending = createEnding(() => null);
  const holder = { door, by: byDoor({ tokenId: id, role, tenant, users, ending }) };
  return { id, holder, secrets: secrets ?? [secretHash(id)] } satisfies KnownToken;
}

const userOf = ({ tokenId }: Principal) => `${tokenId}:e2b:s`;
const names = {
  prefixOf: ({ tokenId }: Principal) => `${tokenId}:e2b:`,
  prefixIn: (userUuid: string) => (userUuid.endsWith(':e2b:s') ? userUuid.slice(0, -1) : null),
};

let known: KnownToken[];
/** Tokens that only the database has. */
let stored: KnownToken[];
let open: Pick<Session, 'tenant' | 'userUuid'>[];
let authToken: string;
let keys: SessionKeys;
const shared = new Map<string, string>();

function gateway(): SessionKeys {
  const find = (all: KnownToken[]) => (id: string) => all.find((each) => each.id === id) ?? null;
  return createSessionKeys({
    queries: {
      sharedSecret: async (name, proposed) => {
        if (!shared.has(name)) shared.set(name, proposed);
        return shared.get(name) ?? '';
      },
    },
    tokenBook: {
      isFresh: true,
      tokenOf: (id) => find(known)(id),
      readToken: async (id) => find(stored)(id),
      known: () => known,
    },
    sessions: { all: () => open as Session[] },
    authToken: () => authToken,
  });
}

beforeEach(async () => {
  [known, stored, open, authToken] = [[], [], [], 'the operator'];
  shared.clear();
  keys = gateway();
  await keys.load();
});

const principalOf = ({ holder }: KnownToken) => holder.by.e2b;
const keyOf = (token: KnownToken) => keys.keyTo(principalOf(token), userOf(principalOf(token)));

it('a key lets its holder act for one user as a user, and opens no session', async () => {
  const token = tokenOf();
  known.push(token);
  const holder = await keys.holderOf(await keyOf(token), 'e2b', userOf);
  expect(holder).toMatchObject({
    ...{ tokenId: token.id, role: 'USER', tenant: 'blue', door: 'e2b', isOfSession: true },
    users: { uuid: `${token.id}:e2b:s` },
  });
  expect(holder?.ending).toBe(principalOf(token).ending);
});

it('the same holder is the same principal, so that what is bound to it is found again', async () => {
  const token = tokenOf();
  known.push(token);
  const key = await keyOf(token);
  const first = await keys.holderOf(key, 'e2b', userOf);
  expect(await keys.holderOf(key, 'e2b', userOf)).toBe(first);
});

it('another gateway knows the key, and reads a token that it has not heard of', async () => {
  const token = tokenOf();
  known.push(token);
  const key = await keyOf(token);
  [known, stored] = [[], [token]];
  const other = gateway();
  await other.load();
  expect(await other.holderOf(key, 'e2b', userOf)).not.toBeNull();
});

it.each<
  [string, (key: string, token: KnownToken) => [string, Door, (holder: Principal) => string]]
>([
  ['for another session', (key) => [key, 'e2b', ({ tokenId }) => `${tokenId}:e2b:t`]],
  ['with another end', (key) => [`${key}x`, 'e2b', userOf]],
  ['with the id alone', (_key, { id }) => [id, 'e2b', userOf]],
  ['of no token', (key) => [key.replace(/^[^.]*/, newId()), 'e2b', userOf]],
  ['with nonsense for an id', (key) => [key.replace(/^[^.]*/, '%'), 'e2b', userOf]],
  ['that is empty', () => ['', 'e2b', userOf]],
  ['for a user that the token is not for', (key) => [key, 'e2b', () => 'ann']],
])('a key %s lets nobody in', async (_what, asked) => {
  const token = tokenOf({ users: { prefix: '' }, role: 'USER' });
  known.push(token);
  expect(await keys.holderOf(...asked(await keyOf(token), token))).toBeNull();
});

it('a key ends with its token, and at other doors than that of the token', async () => {
  const token = tokenOf({ door: 'e2b' });
  known.push(token);
  const key = await keyOf(token);
  expect(await keys.holderOf(key, 'e2b', userOf)).not.toBeNull();
  expect(await keys.holderOf(key, 'mcp', userOf)).toBeNull();
  known = [];
  expect(await keys.holderOf(key, 'e2b', userOf)).toBeNull();
});

it('a key of the former secret holds as long as that does', async () => {
  const token = tokenOf({ secrets: ['former'] });
  known.push(token);
  const key = await keyOf(token);
  known = [{ ...token, secrets: ['present', 'former'] }];
  expect(await keys.holderOf(key, 'e2b', userOf)).not.toBeNull();
  known = [{ ...token, secrets: ['present'] }];
  expect(await keys.holderOf(key, 'e2b', userOf)).toBeNull();
});

it('AUTH_TOKEN gives keys, which end when it is changed', async () => {
  const key = await keys.keyTo(AUTH_TOKEN_BY_DOOR.e2b, 'auth-token:e2b:s');
  expect(await keys.holderOf(key, 'e2b', userOf)).toMatchObject({
    role: 'USER',
    tenant: 'default',
  });
  authToken = 'another';
  expect(await keys.holderOf(key, 'e2b', userOf)).toBeNull();
});

it('whoever signed with a key to an open session is found', async () => {
  const [one, other] = [tokenOf(), tokenOf()];
  known.push(one, other);
  const userUuid = userOf(principalOf(other));
  const key = await keyOf(other);
  const isSuch = (each: string) => each === key;
  expect(keys.signerOf('e2b', names, isSuch)).toBeNull();
  open = [
    { tenant: 'blue', userUuid: 'ann' },
    { tenant: 'blue', userUuid: userOf(principalOf(one)) },
    { tenant: 'blue', userUuid },
  ];
  expect(keys.signerOf('e2b', names, isSuch)).toMatchObject({
    tokenId: other.id,
    users: { uuid: userUuid },
  });
  expect(keys.signerOf('e2b', names, () => false)).toBeNull();
  open = [{ tenant: 'red', userUuid }];
  expect(keys.signerOf('e2b', names, isSuch)).toBeNull();
});
