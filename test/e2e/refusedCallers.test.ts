/** Callers without the token and bodies over the limit are refused before they reach GraphQL. */
import { createClient } from 'graphql-ws';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { startTestGateway, type TestGateway } from '../../testkit/gateway.ts';
import { LIMITS } from '../support/badValues.ts';
import { askOverWebSocket } from '../support/transportServer.ts';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway({ MIN_IDLE_WORKERS: '0' });
});
afterAll(() => gateway.destroy());

describe('callers without the token', () => {
  it.each<Record<string, string>>([
    {},
    { 'X-Auth-Token': 'wrong' },
    { 'X-Auth-Token': '' },
    { Authorization: 'Bearer wrong' },
  ])('%j: HTTP 401', async (token) => {
    const response = await fetch(`${gateway.url}/graphql`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', ...token },
      body: JSON.stringify({ query: '{ __typename }' }),
    });
    expect(response.status).toBe(401);
    expect(await response.json()).toMatchObject({
      errors: [{ extensions: { code: 'UNAUTHENTICATED' } }],
    });
  });

  it.each([undefined, 'wrong'])('%j: the WebSocket closes with 4403', async (token) => {
    const client = createClient({
      url: `${gateway.url.replace('http', 'ws')}/graphql`,
      webSocketImpl: WebSocket,
      ...(token && { connectionParams: { 'X-Auth-Token': token } }),
      retryAttempts: 0,
    });
    const failed = new Promise((resolve) => {
      client.subscribe(
        { query: '{ __typename }' },
        { next: resolve, error: resolve, complete: () => resolve('completed') },
      );
    });
    expect(await failed).toMatchObject({ code: 4403 });
  });
});

describe('a body over the limit', () => {
  const query = `{ __typename } # ${'x'.repeat(LIMITS.bodyBytes)}`;

  it('gets HTTP 413 with errors', async () => {
    const response = await fetch(`${gateway.url}/graphql`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'X-Auth-Token': gateway.token },
      body: JSON.stringify({ query }),
    });
    expect(response.status).toBe(413);
    expect(await response.json()).toMatchObject({
      errors: [
        {
          message: expect.stringContaining('MAX_BODY_BYTES'),
          extensions: { limit: LIMITS.bodyBytes },
        },
      ],
    });
  });

  it('closes a WebSocket with 1009', async () => {
    await expect(askOverWebSocket(gateway, query)).rejects.toMatchObject({ code: 1009 });
  });
});
