/** Clients that are gone before their token has been looked up. */
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
    const { book, endings } = tokensFor({ mine: null });
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
      tokenBook: {
        ...book,
        isFresh: false,
        read: async (hash) => {
          askedFor();
          await isAnswered;
          return book.holderOf(hash);
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
    // Once a later request is answered, the server has noticed.
    await metrics();
    answer();
    await metrics();
    expect(await metrics()).toMatch(/^cellhouse_calls_in_flight 0$/m);
    expect(await metrics()).toMatch(/^cellhouse_file_requests_in_flight 0$/m);
    expect(door.calls).toEqual([]);
    expect(endings.mine?.isOver).toBe(false);
  },
);
