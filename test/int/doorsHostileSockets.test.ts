/** Hostile callers of the WebSockets of doors: a clear refusal, nothing created, and no token in any log line. */
import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { until } from '../../testkit/until.ts';
import {
  AUTH_TOKEN,
  HOSTILE_ROWS,
  type HostileRow,
  MAX_BODY_BYTES,
  useHostileGateway,
  WRONG,
} from '../support/hostileDoors.ts';

/** Like the WebSockets of a thousand notebooks that were left open. */
const IDLE_SOCKETS = 1_000;
/** The server closes a connection whose headers do not arrive in time, as they may not in a burst of all. */
const OPENED_AT_ONCE = 100;
const LIFE_MS = 2_000;

const { port, secrets, log, create, created, ask } = await useHostileGateway();

const sockets: WebSocket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.terminate();
});

function connect(path: string, headers: Record<string, string> = {}, protocol = 'none'): WebSocket {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, protocol, { headers });
  socket.on('error', () => undefined);
  sockets.push(socket);
  return socket;
}

/** Resolves with the HTTP status of the refused upgrade. */
async function refusedWith(socket: WebSocket): Promise<number | undefined> {
  const opened = once(socket, 'open').then(() => {
    throw new Error('It was opened.');
  });
  const refused = new Promise<number | undefined>((resolve) => {
    socket.once('unexpected-response', (_req, res) => resolve(res.statusCode));
  });
  opened.catch(() => undefined);
  return await Promise.race([refused, opened]);
}

type SocketRow = HostileRow & { readonly sockets: NonNullable<HostileRow['sockets']> };
const rows = HOSTILE_ROWS.filter((row): row is SocketRow => row.sockets !== undefined);

describe.each(rows)('at the door $door', (row) => {
  const { protocol, unknown } = row.sockets;
  const own = secrets[row.door];
  const make = async () =>
    row.sockets.path(JSON.parse((await ask(row, { token: own })).text) as unknown);
  const open = async (path: string) => {
    const socket = connect(`/t/${own}${path}`, {}, protocol);
    await once(socket, 'open');
    return socket;
  };

  it('an upgrade of a caller who may not come in is refused', async () => {
    const path = await make();
    const expiresAt = new Date(Date.now() + LIFE_MS);
    const expired = await create(row.door, expiresAt);
    await until('it has expired', async () => Date.now() > expiresAt.getTime());
    const before = await created();
    const refused = async (way: string, headers = {}) => refusedWith(connect(way, headers));
    expect(await refused(path)).toBe(row.missing);
    expect(await refused(path, row.tokenHeader(WRONG))).toBe(row.wrong);
    expect(await refused(path, row.tokenHeader(secrets.mcp))).toBe(403);
    expect(await refused(`/t/${expired}${path}`)).toBe(row.wrong);
    expect(await refused(`/t/${AUTH_TOKEN}${path}`)).toBe(403);
    expect(await refused(`/t/${own}${path}`, { Host: 'evil.example.com' })).toBe(403);
    expect(await refused(`/t/${own}${path}`, { Origin: 'https://evil.example.com' })).toBe(403);
    expect(await refused(`/t/${own}${unknown}`)).toBe(404);
    expect(await created()).toEqual(before);
  });

  it.each<[string, string | Buffer]>([
    ['is too large', 'x'.repeat(MAX_BODY_BYTES + 1)],
    ['is no JSON', '{"header":'],
    ['is JSON of another kind', '[[[1]]]'],
    ['is bytes of another kind', Buffer.alloc(99, 0xff)],
    ['has no length', Buffer.alloc(0)],
    [
      'says that it is longer than it is',
      Buffer.from([7, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255]),
    ],
  ])(
    'a message that %s creates nothing, and blocks no other connection',
    async (_what, message) => {
      const path = await make();
      const before = await created();
      const socket = await open(path);
      socket.send(message);
      socket.ping();
      // A refused message closes the connection, and an ignored message leaves it open.
      await Promise.race([once(socket, 'close'), once(socket, 'pong')]);
      const other = await open(path);
      other.ping();
      await once(other, 'pong');
      expect(await created()).toEqual(before);
    },
  );

  it('a token may have a thousand idle WebSockets and no more, and they block no other token', async () => {
    /** The path to a new kernel, with a new token. */
    const fresh = async () => {
      const token = await create(row.door);
      const kernel = JSON.parse((await ask(row, { token })).text) as unknown;
      return `/t/${token}${row.sockets.path(kernel)}`;
    };
    const opened = async (way: string) => {
      const socket = connect(way, {}, protocol);
      return await Promise.race([once(socket, 'open').then(() => socket), refusedWith(socket)]);
    };
    const way = await fresh();
    const idle: Awaited<ReturnType<typeof opened>>[] = [];
    while (idle.length < IDLE_SOCKETS)
      idle.push(...(await Promise.all(Array.from({ length: OPENED_AT_ONCE }, () => opened(way)))));
    expect(await Promise.all([opened(way), opened(way)])).toEqual([429, 429]);
    expect((await ask(row, { token: WRONG })).status).toBe(row.wrong);
    expect(await opened(await fresh())).toBeInstanceOf(WebSocket);
    // A closed WebSocket makes room for one more.
    const [first] = idle;
    if (first instanceof WebSocket) first.terminate();
    await until('there is room', async () => (await opened(way)) instanceof WebSocket || undefined);
    expect(await opened(way)).toBe(429);
  });

  it('no line of the log has a token', () => {
    expect(log.length).toBeGreaterThan(0);
    for (const secret of [...Object.values(secrets), WRONG, AUTH_TOKEN])
      expect(log.join()).not.toContain(secret);
  });
});
