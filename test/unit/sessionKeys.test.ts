import { beforeEach, describe, expect, it } from 'vitest';
import type { Session } from '../../src/domain/session.ts';
import { type Door, type Role, secretHash } from '../../src/domain/token.ts';
import type { Users } from '../../src/domain/users.ts';
import { newId } from '../../src/process/newId.ts';
import { createSessionKeys, type SessionKeys } from '../../src/service/access/sessionKeys.ts';
import type { KnownToken } from '../../src/service/access/tokenCache.ts';
import { createTokenEnd } from '../../src/service/access/tokenEnd.ts';
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
  const tokenEnd = createTokenEnd(() => null);
  const holder = { door, by: byDoor({ tokenId: id, role, tenant, users, tokenEnd }) };
  const use = () => void used.push(id);
  return { id, holder, secrets: secrets ?? [secretHash(id)], use } satisfies KnownToken;
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
/** What the gateway reads when it catches up. */
let late: { readonly tokens: KnownToken[]; readonly sessions: typeof open };
let catchUps: number;
/** The ids of tokens for which a use was counted. */
let used: string[];
let keys: SessionKeys;
const shared = new Map<string, string>();

function gateway(authToken = 'the operator'): SessionKeys {
  const find = (all: KnownToken[]) => (id: string) => all.find((each) => each.id === id) ?? null;
  return createSessionKeys({
    queries: {
      sharedSecret: async (name, proposed) => {
        if (!shared.has(name)) shared.set(name, proposed);
        return shared.get(name) ?? '';
      },
    },
    tokenCache: {
      isFresh: true,
      tokenOf: (id) => find(known)(id),
      readToken: async (id) => find(stored)(id),
      known: () => known,
      // The cache reads nothing while it has no token.
      refresh: async () => void (known.length > 0 && known.push(...late.tokens.splice(0))),
      reload: async () => void known.push(...late.tokens.splice(0)),
    },
    sessions: {
      all: () => open as Session[],
      get: (tenant, userUuid) =>
        (open.find((each) => each.tenant === tenant && each.userUuid === userUuid) as Session) ??
        null,
      load: async () => {
        catchUps += 1;
        open.push(...late.sessions.splice(0));
      },
    },
    authToken: () => authToken,
  });
}

beforeEach(async () => {
  [known, stored, open, used, catchUps] = [[], [], [], [], 0];
  late = { tokens: [], sessions: [] };
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
  expect(holder?.tokenEnd).toBe(principalOf(token).tokenEnd);
});

it('the same holder is the same principal, so that what is bound to it is found again', async () => {
  const token = tokenOf();
  known.push(token);
  const key = await keyOf(token);
  const first = await keys.holderOf(key, 'e2b', userOf);
  expect(await keys.holderOf(key, 'e2b', userOf)).toBe(first);
});

it('another gateway accepts the key, and reads its token if it does not know the token yet', async () => {
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

it('a key of the former secret is valid as long as that secret', async () => {
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
  const changed = gateway('another');
  await changed.load();
  expect(await changed.holderOf(key, 'e2b', userOf)).toBeNull();
});

it('a key for a user whom the token is not for lets nobody in, however it was made', async () => {
  const token = tokenOf({ users: { prefix: 'x:' }, role: 'USER' });
  known.push(token);
  const key = await keys.keyTo(principalOf(token), 'ann');
  expect(await keys.holderOf(key, 'e2b', () => 'ann')).toBeNull();
});

it('an auditor has no keys', async () => {
  const token = tokenOf({ role: 'AUDITOR' });
  known.push(token);
  expect(await keys.holderOf(await keyOf(token), 'e2b', userOf)).toBeNull();
});

it('only a right key counts as a use of its token', async () => {
  const token = tokenOf();
  known.push(token);
  const key = await keyOf(token);
  await keys.holderOf(`${key}x`, 'e2b', userOf);
  expect(used).toEqual([]);
  await keys.holderOf(key, 'e2b', userOf);
  expect(used).toEqual([token.id]);
});

describe('the signer with a key to an open session', () => {
  /** Something that the holder of this token signed, and how often a key was tried. */
  async function signedBy(token: KnownToken) {
    const key = await keyOf(token);
    let tries = 0;
    const isBy = (each: string) => {
      tries += 1;
      return each === key;
    };
    return { signed: { signature: `by ${token.id}`, isBy, names }, tries: () => tries };
  }
  const sessionOf = (token: KnownToken, tenant = 'blue') => ({
    tenant,
    userUuid: userOf(principalOf(token)),
  });

  it('is found among others', async () => {
    const [one, other] = [tokenOf(), tokenOf()];
    known.push(one, other);
    open = [{ tenant: 'blue', userUuid: 'ann' }, sessionOf(one), sessionOf(other)];
    const { signed } = await signedBy(other);
    expect(await keys.signerOf('e2b', signed)).toMatchObject({
      tokenId: other.id,
      users: { uuid: userOf(principalOf(other)) },
    });
    expect([used, catchUps]).toEqual([[other.id], 0]);
  });

  it('is not found for what no key has signed', async () => {
    const token = tokenOf();
    known.push(token);
    open = [sessionOf(token)];
    const signed = { signature: 'x', isBy: () => false, names };
    expect(await keys.signerOf('e2b', signed)).toBeNull();
    expect(used).toEqual([]);
  });

  it('is not found by a session of another tenant, or by one that has ended', async () => {
    const token = tokenOf();
    known.push(token);
    const { signed } = await signedBy(token);
    open = [sessionOf(token, 'red')];
    expect(await keys.signerOf('e2b', signed)).toBeNull();
    open = [sessionOf(token)];
    expect(await keys.signerOf('e2b', signed)).not.toBeNull();
    open = [];
    expect(await keys.signerOf('e2b', signed)).toBeNull();
  });

  it('is found after the gateway has caught up, if it knew neither session nor token', async () => {
    const token = tokenOf();
    known.push(token);
    const { signed } = await signedBy(token);
    known = [];
    late = { tokens: [token], sessions: [sessionOf(token)] };
    expect(await keys.signerOf('e2b', signed)).toMatchObject({ tokenId: token.id });
    expect(catchUps).toBe(1);
  });

  it('is remembered as long as its token is valid', async () => {
    const tokens = Array.from({ length: 20 }, () => tokenOf());
    known.push(...tokens);
    open = tokens.map((token) => sessionOf(token));
    const last = tokens.at(-1) as KnownToken;
    const { signed, tries } = await signedBy(last);
    await keys.signerOf('e2b', signed);
    expect(tries()).toBe(20);
    expect(await keys.signerOf('e2b', signed)).toMatchObject({ tokenId: last.id });
    expect(tries()).toBe(21);
    known = known.filter(({ id }) => id !== last.id);
    expect(await keys.signerOf('e2b', signed)).toBeNull();
  });
});
