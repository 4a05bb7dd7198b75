/** While the database is away, no gateway can check a token. Each protocol tells the client to try again. */
import { expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { DatabaseAwayError } from '../../src/events/store/eventStore.ts';
import { memoryService } from '../support/memoryService.ts';
import { startTransport } from '../support/transportServer.ts';

const TOKEN = `ch_${'a'.repeat(43)}`;
const UNTIL_AWAY_MS = 30_000;

const start = () =>
  startTransport(memoryService(), {
    tokenCache: {
      isFresh: false,
      holderOf: () => null,
      read: () => Promise.reject(new DatabaseAwayError(UNTIL_AWAY_MS)),
    },
  });

it.each(['/graphql?query={__typename}', '/files/ann/secret-name', '/metrics'])(
  'a call with such a token gets 503 at %s, and nothing is logged',
  async (path) => {
    const { origin, log } = await start();
    const answer = await fetch(`${origin}${path}`, { headers: { 'X-Auth-Token': TOKEN } });
    expect([answer.status, answer.headers.get('Retry-After')]).toEqual([503, '1']);
    expect(await answer.text()).toContain('DATABASE_UNAVAILABLE');
    expect(log).toEqual([]);
  },
);

it('a WebSocket with such a token is closed with a code after which clients try again', async () => {
  const { port } = await start();
  const socket = new WebSocket(`ws://127.0.0.1:${port}/graphql`, 'graphql-transport-ws');
  const payload = { 'X-Auth-Token': TOKEN };
  socket.on('open', () => socket.send(JSON.stringify({ type: 'connection_init', payload })));
  const code = await new Promise((resolve) => socket.on('close', resolve));
  expect(code).toBe(1013);
});
