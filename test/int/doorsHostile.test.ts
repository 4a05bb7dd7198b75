/** Hostile callers at each door of a real gateway: a clear refusal, nothing created, and no token in any log line. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { until } from '../../testkit/until.ts';
import {
  type Asked,
  AUTH_TOKEN,
  HOSTILE_ROWS,
  MAX_BODY_BYTES,
  useHostileGateway,
  WRONG,
} from '../support/hostileDoors.ts';

/** Like the connections of a thousand users who left their programs open. */
const IDLE_CONNECTIONS = 1_000;
const HALF_OPEN = 100;
/** The life of a token that expires during a test. */
const LIFE_MS = 2_000;

const { port, secrets, log, create, created, ask } = await useHostileGateway();

const sockets: Socket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
});

describe.each(HOSTILE_ROWS)('at the door $door', (row) => {
  const own = secrets[row.door];
  const foreign = secrets[row.door === 'mcp' ? 'jupyter' : 'mcp'];

  it.each<[string, Asked, number]>([
    ['without a token', {}, row.missing],
    ['with an empty token in the path', { prefix: '/t/' }, row.missing],
    ['with a wrong token', { token: WRONG }, row.wrong],
    ['with a wrong token in the path', { prefix: `/t/${WRONG}` }, row.wrong],
    ['with nonsense in the path', { prefix: '/t/%00%ff%' }, row.wrong],
    ['with the token of another door', { token: foreign }, 403],
    ['with the token of another door in the path', { prefix: `/t/${foreign}` }, 403],
    ['with a token for files', { token: secrets.files }, 403],
    ['with AUTH_TOKEN in the path', { prefix: `/t/${AUTH_TOKEN}` }, 403],
    ['under a foreign name', { token: own, headers: { Host: 'evil.example.com' } }, 403],
    ['from a foreign page', { token: own, headers: { Origin: 'https://evil.example.com' } }, 403],
    ['with a body that is too large', { token: own, body: `"${'x'.repeat(MAX_BODY_BYTES)}"` }, 413],
    ['with a body that is not JSON', { token: own, body: '{"a":' }, row.malformed],
    ['with a body of zeros', { token: own, body: '\0'.repeat(99) }, row.malformed],
  ])('a call %s is refused with a message that contains no token', async (_what, asked, status) => {
    const before = await created();
    const answer = await ask(row, asked);
    expect([answer.status, answer.text]).toEqual([status, expect.stringMatching(/[a-z]{4}/)]);
    for (const secret of [own, foreign, WRONG, AUTH_TOKEN])
      expect(answer.text).not.toContain(secret);
    expect(await created()).toEqual(before);
  });

  it('an expired token lets nobody in, in a header or in the path', async () => {
    const expiresAt = new Date(Date.now() + LIFE_MS);
    const token = await create(row.door, expiresAt);
    await until('it has expired', async () => Date.now() > expiresAt.getTime());
    const before = await created();
    expect((await ask(row, { token })).status).toBe(row.wrong);
    expect((await ask(row, { prefix: `/t/${token}` })).status).toBe(row.wrong);
    expect(await created()).toEqual(before);
    expect(log.join()).not.toContain(token);
  });

  it('requests that stop half-way block no other caller, and create nothing', async () => {
    const before = await created();
    const head = `${row.method} /t/${own}${row.path} HTTP/1.1\r\nHost: localhost\r\n`;
    await Promise.all(
      Array.from({ length: HALF_OPEN }, async (_, at) => {
        const socket = await open();
        const isInHead = at % 2 === 0;
        socket.write(isInHead ? head : `${head}Content-Length: 999\r\n\r\n{"code":`);
      }),
    );
    expect((await ask(row, { token: WRONG })).status).toBe(row.wrong);
    for (const socket of sockets.splice(0)) socket.destroy();
    expect((await ask(row, { token: WRONG })).status).toBe(row.wrong);
    expect(await created()).toEqual(before);
  });

  it('no line of the log has a token', () => {
    const all = [...Object.values(secrets), WRONG, AUTH_TOKEN];
    expect(log.length).toBeGreaterThan(0);
    for (const secret of all) expect(log.join()).not.toContain(secret);
  });
});

it('a thousand idle connections block no other caller', async () => {
  await Promise.all(Array.from({ length: IDLE_CONNECTIONS }, () => open()));
  for (const row of HOSTILE_ROWS) expect((await ask(row, { token: WRONG })).status).toBe(row.wrong);
});

async function open(): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  sockets.push(socket);
  await once(socket, 'connect');
  return socket;
}
