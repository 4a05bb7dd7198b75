/** Clients that are gone before their token has been looked up, or before it is the turn of their request. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, it } from 'vitest';
import { memoryService } from '../support/memoryService.ts';
import { secretOf, testDoor, tokensFor } from '../support/testDoor.ts';
import { startTransport, TOKEN } from '../support/transportServer.ts';

const BODY = '{"query":"{ __typename }"}';

it.each([
  ['of GraphQL', 'POST /graphql'],
  ['for a file', 'PUT /files/ann/a'],
  ['to a door', 'POST /here'],
])(
  'a request %s whose client leaves during authentication is not in flight',
  async (_what, line) => {
    const { tokenCache, endings } = tokensFor({ mine: null });
    let askedFor = () => {};
    let answer = () => {};
    const isAsked = new Promise<void>((resolve) => {
      askedFor = resolve;
    });
    const isAnswered = new Promise<void>((resolve) => {
      answer = resolve;
    });
    const door = testDoor();
    const { port, origin } = await startTransport(memoryService(), {
      doors: [door],
      tokenCache: {
        ...tokenCache,
        isFresh: false,
        read: async (hash) => {
          askedFor();
          await isAnswered;
          return tokenCache.holderOf(hash);
        },
      },
    });
    const metrics = async () => {
      const response = await fetch(`${origin}/metrics`, { headers: { 'X-Auth-Token': TOKEN } });
      return await response.text();
    };
    const client = connect(port, '127.0.0.1').resume();
    const headers = `Host: 127.0.0.1\r\nX-Auth-Token: ${secretOf('mine')}\r\nContent-Type: application/json`;
    client.write(`${line} HTTP/1.1\r\n${headers}\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`);
    await isAsked;
    client.end();
    await once(client, 'close');
    // Once a later request is answered, the server has noticed that the client left.
    await metrics();
    answer();
    await metrics();
    expect(await metrics()).toMatch(/^cellhouse_calls_in_flight 0$/m);
    expect(await metrics()).toMatch(/^cellhouse_file_requests_in_flight 0$/m);
    expect(door.calls).toEqual([]);
    expect(endings.mine?.isOver).toBe(false);
  },
);

it('a request behind another on its connection is not in flight when the client has left', async () => {
  const door = testDoor();
  const { port, origin } = await startTransport(memoryService(), { doors: [door] });
  const client = connect(port, '127.0.0.1').resume();
  const areHere = new Promise<void>((resolve) => {
    door.answer = async () => {
      if (door.calls.length === 3) resolve();
    };
  });
  const head = `POST /here HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Auth-Token: ${TOKEN}\r\n`;
  client.write(`${head}Content-Length: 0\r\n\r\n`.repeat(3));
  await areHere;
  const areClosed = Promise.all(door.calls.map(({ res }) => once(res, 'close')));
  client.end();
  await areClosed;
  const answer = await fetch(`${origin}/metrics`, { headers: { 'X-Auth-Token': TOKEN } });
  expect(await answer.text()).toMatch(/^cellhouse_calls_in_flight 0$/m);
});
