/** A door that implements no real protocol. It shows what the server decides before it calls a door. */
import { once } from 'node:events';
import { type Door, type Role, secretHash } from '../../src/domain/token.ts';
import type { DoorCall, DoorSocket, OpenDoor } from '../../src/doors/openDoor.ts';
import type { ServerDeps } from '../../src/server/createServer.ts';
import { createTokenEnd, type OpenTokenEnd } from '../../src/service/access/tokenEnd.ts';
import { byDoor } from '../../src/service/principal.ts';

/** What the door has seen, and how it acts. */
export interface Seen {
  readonly calls: DoorCall[];
  readonly sockets: DoorSocket[];
  /** What `handle` does. */
  answer: (call: DoorCall) => Promise<void>;
}

async function echo({ req, res, path, query, principal, readBody }: DoorCall): Promise<void> {
  const body = await readBody();
  const { tokenId, door } = principal;
  res.end(JSON.stringify({ path, query: String(query), url: req.url, tokenId, door, body }));
}

/** The door is named `mcp`. It serves `/here`, and serves `/alias` as `/inside`. `/here/open` needs no token. */
export function testDoor(): OpenDoor & Seen {
  const seen: Seen = { calls: [], sockets: [], answer: echo };
  return Object.assign(seen, {
    name: 'mcp',
    mounts: { '/here': '', '/alias': '/inside' },
    credentials: { headers: ['x-auth-token', 'authorization', 'x-api-key'], isInQuery: true },
    cors: { methods: 'POST', headers: 'x-api-key', exposed: 'X-Exposed' },
    refuse: ({ status, code, message, headers }) => ({
      status,
      headers,
      body: { form: 'of the test', code, message },
    }),
    enter: ({ method, path }) => {
      if (path === '/open') return { type: 'open', answer: (res) => res.end('open') };
      const handle = (call: DoorCall) => {
        seen.calls.push(call);
        return seen.answer(call);
      };
      return { type: 'guarded', isUpload: method === 'POST' && path === '/files', handle };
    },
    upgrade: async () => ({
      protocol: 'test.protocol',
      open: (socket) => {
        seen.sockets.push(socket);
        socket.onMessage((data) => void socket.send(data));
      },
    }),
  } satisfies Omit<OpenDoor, keyof Seen>);
}

/** A secret of the shape that tokens have. */
export function secretOf(name: string): string {
  return `ch_${name.padEnd(43, '0')}`;
}

export interface TestTokens {
  readonly tokenCache: ServerDeps['tokenCache'];
  readonly endings: Readonly<Record<string, OpenTokenEnd>>;
}

/**
 * A token cache with the tokens that `doors` names.
 * @param doors for each token, by its name, the door at which it is valid. Null: at all doors
 * @param users for each token of a single user, by its name, that user
 * @param fresh `TokenEnd.fresh` of all tokens (src/service/access/tokenEnd.ts)
 */
export function tokensFor(
  doors: Readonly<Record<string, Door | null>>,
  users: Readonly<Record<string, string>> = {},
  fresh: OpenTokenEnd['fresh'] = () => null,
): TestTokens {
  const endings = Object.fromEntries(
    Object.keys(doors).map((name) => [name, createTokenEnd(fresh)]),
  );
  const holders = new Map(
    Object.entries(doors).map(([tokenId, door]) => {
      const tokenEnd = endings[tokenId] ?? createTokenEnd(fresh);
      const uuid = users[tokenId];
      const role: Role = uuid === undefined ? 'TENANT' : 'USER';
      const only = uuid === undefined ? null : { uuid };
      const holder = { tokenId, role, tenant: 'blue', users: only, tokenEnd };
      return [secretHash(secretOf(tokenId)), { door, by: byDoor(holder) }];
    }),
  );
  const holderOf = (hash: string) => holders.get(hash) ?? null;
  return { endings, tokenCache: { isFresh: true, holderOf, read: async (hash) => holderOf(hash) } };
}

/** Resolves when the response of this call is closed. */
export async function closed({ res }: DoorCall): Promise<void> {
  if (!res.closed) await once(res, 'close');
}
