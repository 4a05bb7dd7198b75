/** If a client leaves before it gets the id of its sandbox, the sandbox is ended: nobody could use or kill it. */
import { expect, it } from 'vitest';
import { AUTH_TOKEN_HOLDER as OPERATOR } from '../../src/service/principal.ts';
import { until } from '../../testkit/until.ts';
import { useServiceGateways } from '../support/serviceGateways.ts';

const { start } = await useServiceGateways({
  DOORS: 'e2b',
  MAX_TOTAL_WORKERS: '1',
  MIN_IDLE_WORKERS: '0',
});
const { service, server } = await start();
const url = `http://127.0.0.1:${(await server.listen()).port}/e2b/v2/sandboxes`;

it('a sandbox whose client has left is ended as soon as it is created', async () => {
  const going = new AbortController();
  const request = (signal: AbortSignal | null = null) =>
    fetch(url, {
      method: 'POST',
      headers: { 'X-API-KEY': 'a-token-for-tests' },
      body: JSON.stringify({ templateID: 'base' }),
      signal,
    });
  const first = (await (await request()).json()) as { readonly sandboxID: string };
  const second = request(going.signal).catch(() => 'gone');
  await until(
    'the second to wait for a worker',
    async () => (await service.poolStatus(OPERATOR)).waitingRequests === 1,
  );
  going.abort();
  expect(await second).toBe('gone');
  const headers = { 'X-API-KEY': 'a-token-for-tests' };
  const path = url.replace('/v2', '');
  const killed = await fetch(`${path}/${first.sandboxID}`, { method: 'DELETE', headers });
  expect(killed.status).toBe(204);
  const ends = await until('the end of the second', async () => {
    const { edges } = await service.sessions(OPERATOR, { oldestFirst: true }, {});
    const reasons = edges.map(({ item }) => item.closeReason);
    return reasons.length === 2 && reasons.every((reason) => reason !== null) && reasons;
  });
  expect(ends).toEqual(['released', 'released']);
});
