/** The audits of the GraphQL-over-HTTP specification (package graphql-http), and the same manners without a token. */
import { serverAudits } from 'graphql-http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createServer, type GatewayServer } from '../../src/server/createServer.ts';
import { memoryService } from '../support/memoryService.ts';
import { serverDeps, TOKEN } from '../support/transportServer.ts';

let server: GatewayServer;
let url: string;
beforeAll(async () => {
  server = createServer(serverDeps(memoryService()));
  const { port } = await server.listen();
  url = `http://127.0.0.1:${port}/graphql`;
});
afterAll(() => server.close(AbortSignal.abort()));

const withToken: typeof fetch = (input, init) =>
  fetch(input, {
    ...init,
    headers: { ...Object.fromEntries(new Headers(init?.headers)), 'X-Auth-Token': TOKEN },
  });

describe('GraphQL over HTTP', () => {
  // The address is known only once the server listens; the list of audits is not.
  const audits = serverAudits({ url: () => url, fetchFn: withToken });

  it('has the audits that the specification names', () => {
    expect(audits.length).toBeGreaterThan(60);
  });

  it.each(audits.map((audit) => [audit.name, audit] as const))('%s', async (_name, audit) => {
    expect(await audit.fn()).toMatchObject({ status: 'ok' });
  });
});

describe('without a token', () => {
  it.each([
    ['POST', 'application/graphql-response+json', 'application/graphql-response+json'],
    ['POST', 'application/json', 'application/json'],
    ['POST', '*/*', 'application/json'],
    ['GET', 'application/graphql-response+json', 'application/graphql-response+json'],
    ['GET', 'application/json', 'application/json'],
    ['GET', '*/*', 'application/json'],
  ])('a %s that accepts %s is told so in that form', async (method, accept, type) => {
    const response =
      method === 'GET'
        ? await fetch(`${url}?query=${encodeURIComponent('{ __typename }')}`, {
            headers: { Accept: accept },
          })
        : await fetch(url, {
            method,
            headers: { Accept: accept, 'Content-Type': 'application/json' },
            body: '{"query":"{ __typename }"}',
          });
    expect(response.status).toBe(401);
    expect(response.headers.get('content-type')).toBe(`${type}; charset=utf-8`);
    expect(response.headers.get('www-authenticate')).toBe('Bearer realm="cellhouse"');
    expect(await response.json()).toEqual({
      errors: [
        {
          message: 'A token is needed, as header `X-Auth-Token` or `Authorization: Bearer`.',
          extensions: { code: 'UNAUTHENTICATED' },
        },
      ],
    });
  });
});
