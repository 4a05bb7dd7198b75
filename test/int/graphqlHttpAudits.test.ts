/**
 * The audits of the GraphQL-over-HTTP specification (package graphql-http), and the answers to calls without a token.
 */
import { serverAudits } from 'graphql-http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createServer, type GatewayServer } from '../../src/server/createServer.ts';
import { memoryService } from '../support/memoryService.ts';
import { serverDeps, TOKEN } from '../support/transportServer.ts';

/** More wrong tokens than this file sends. */
const MANY = 1_000;

let server: GatewayServer;
let url: string;
beforeAll(async () => {
  server = createServer(serverDeps(memoryService(), { config: { authFailuresPerMinute: MANY } }));
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
  // The list of audits is made before the server listens, so the address is a function.
  const audits = serverAudits({ url: () => url, fetchFn: withToken });

  it('has more than 60 audits', () => {
    expect(audits.length).toBeGreaterThan(60);
  });

  it.each(audits.map((audit) => [audit.name, audit] as const))('%s', async (_name, audit) => {
    expect(await audit.fn()).toMatchObject({ status: 'ok' });
  });
});

const RESPONSE = 'application/graphql-response+json';
const JSON_TYPE = 'application/json';
const QUERY = '{ __typename }';
const MISSING = 'A token is needed, as header `X-Auth-Token` or `Authorization: Bearer`.';
const WRONG = 'The token is wrong, expired or revoked.';

/** Accept headers -> the media type of the answer. */
const ACCEPTED = [
  [RESPONSE, RESPONSE],
  [JSON_TYPE, JSON_TYPE],
  ['*/*', JSON_TYPE],
  [`${RESPONSE}; charset=utf-8, ${JSON_TYPE}; q=0.9`, RESPONSE],
  [`${JSON_TYPE}, */*; q=0.1`, JSON_TYPE],
  ['text/event-stream', JSON_TYPE],
] as const;

const REQUESTS = [
  ['a GET', `?query=${encodeURIComponent(QUERY)}`, { method: 'GET' }],
  ['a GET of nothing', '', { method: 'GET' }],
  ['a POST', '', { method: 'POST', ...withBody(JSON_TYPE, JSON.stringify({ query: QUERY })) }],
  ['a POST of no GraphQL', '', { method: 'POST', ...withBody(JSON_TYPE, 'garbage') }],
  ['a form', '', { method: 'POST', ...withBody('application/x-www-form-urlencoded', 'query=x') }],
  ['another method', '', { method: 'PUT', ...withBody(JSON_TYPE, '{}') }],
] as const;

const TOKENS = [
  ['no token', {}, MISSING],
  ['a wrong token', { 'X-Auth-Token': 'wrong' }, WRONG],
  ['a wrong bearer', { Authorization: 'Bearer wrong' }, WRONG],
  ['another scheme', { Authorization: 'Basic d3Jvbmc6d3Jvbmc=' }, MISSING],
] as const;

function withBody(type: string, body: string) {
  return { headers: { 'Content-Type': type }, body };
}

describe.each(REQUESTS)('%s', (_request, search, init) => {
  describe.each(TOKENS)('with %s', (_token, token, message) => {
    it.each(ACCEPTED)('gets 401 in the expected type for Accept: %s', async (accept, type) => {
      const given = 'headers' in init ? init.headers : {};
      const headers = { ...given, ...token, Accept: accept };
      const response = await fetch(`${url}${search}`, { ...init, headers });
      expect(response.status).toBe(401);
      expect(response.headers.get('content-type')).toBe(`${type}; charset=utf-8`);
      // RFC 9110, 15.5.2: a 401 must name a way to authenticate.
      expect(response.headers.get('www-authenticate')).toBe('Bearer realm="cellhouse"');
      // The specification forbids `data` in the answer to a request that was not executed.
      expect(await response.json()).toEqual({
        errors: [{ message, extensions: { code: 'UNAUTHENTICATED' } }],
      });
    });
  });
});

describe('an invalid request', () => {
  it.each([
    [RESPONSE, { query: '{' }, 400],
    [RESPONSE, { query: '{ nothing }' }, 400],
    [RESPONSE, { query: 'query ($a: Int!) { __typename @skip(if: $a) }' }, 400],
    [RESPONSE, { query: 'query ($id: ID!) { execution(id: $id) { id } }' }, 400],
    [JSON_TYPE, { query: '{' }, 200],
    [JSON_TYPE, { query: '{ nothing }' }, 200],
    [JSON_TYPE, { query: 'query ($id: ID!) { execution(id: $id) { id } }' }, 200],
  ])('with Accept: %s, body %j is answered with %i', async (accept, body, status) => {
    const init = { method: 'POST', ...withBody(JSON_TYPE, JSON.stringify(body)) };
    const headers = { ...init.headers, Accept: accept };
    const response = await withToken(url, { ...init, headers });
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({
      errors: [{ extensions: { code: 'BAD_USER_INPUT' } }],
    });
  });
});
