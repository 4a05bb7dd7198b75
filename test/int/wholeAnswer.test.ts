import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { DomainError } from '../../src/domain/errors.ts';
import type { Service } from '../../src/service/service.ts';
import { until } from '../../testkit/until.ts';
import {
  executionRow,
  MAX_RESPONSE_BYTES,
  memoryService,
  outputItems,
} from '../support/memoryService.ts';
import { startTransport, TOKEN } from '../support/transportServer.ts';

const PLAIN = '/graphql';
/** The same endpoint. Only the exact path is answered without Yoga's adapter. */
const BY_ADAPTER = '/graphql?';

const EXECUTE =
  'mutation ($code: String!) { execute(input: { userUuid: "u", code: $code }) { status stdout } }';

function service(text = 'hi\n'): Service {
  return memoryService({
    maxResponseBytes: 2 * text.length + MAX_RESPONSE_BYTES,
    execute: async (_principal, { code }) => {
      if (code === 'busy') throw new DomainError('POOL_EXHAUSTED', 'All are busy.');
      if (code === 'broken') throw new Error('A secret.');
      return executionRow();
    },
    outputs: async () => outputItems(executionRow(), [{ kind: 'stream', name: 'stdout', text }]),
  });
}

const ALIASES = Array.from({ length: 100 }, (_, n) => `a${n}: __typename`).join(' ');

const execute = (code: unknown) => ({ query: EXECUTE, variables: { code } });

describe('an answer in one piece', () => {
  it.each([
    ['a result', execute('1')],
    ['an expected error', execute('busy')],
    ['an unexpected error', execute('broken')],
    ['a wrong variable', execute(1)],
    ['a word that only looks like a stream', { query: '{ subscription: __typename }' }],
    ['an unknown field', { query: '{ nothing }' }],
    ['a syntax error', { query: '{' }],
    ['too many aliases', { query: `{${ALIASES}}` }],
    [
      'two operations, none of them named',
      { query: 'query A { __typename } query B { __typename }' },
    ],
    ['no such operation', { query: 'query A { __typename }', operationName: 'B' }],
    ['no query', {}],
    ['a query that is not text', { query: 1 }],
    ['a query that no text can be made of', { query: { toString: 1 } }],
    ['an unknown parameter', { query: '{ __typename }', more: 1 }],
    ['variables that are not an object', { query: '{ __typename }', variables: 'x' }],
    ['no object', []],
  ])('equals the answer of Yoga’s adapter: %s', async (_name, body) => {
    const { origin } = await startTransport(service());
    for (const accept of [
      null,
      'application/json',
      'application/graphql-response+json',
      'application/json, text/plain, */*',
      'application/json, text/event-stream',
      'image/png',
    ]) {
      const answers = [];
      for (const path of [PLAIN, BY_ADAPTER]) {
        const response = await fetch(origin + path, {
          method: 'POST',
          headers: {
            'Content-Type': 'application/json',
            'X-Auth-Token': TOKEN,
            ...(accept && { Accept: accept }),
          },
          body: JSON.stringify(body),
        });
        const text = (await response.text()).replace(/"errorId":"[^"]+"/, '');
        answers.push({
          status: response.status,
          type: response.headers.get('content-type'),
          vary: response.headers.get('vary'),
          allow: response.headers.get('allow'),
          text,
        });
      }
      expect(answers[0]).toEqual(answers[1]);
    }
  });

  it.each([['identity'], ['gzip']])('is cut if the client reads nothing (%s)', async (encoding) => {
    const text = randomBytes(10_000_000).toString('hex');
    const { port, origin } = await startTransport(service(text), {
      config: { slowReaderTimeoutMs: 300 },
    });
    const socket = connect(port, '127.0.0.1').pause();
    onTestFinished(() => void socket.destroy());
    await once(socket, 'connect');
    const body = JSON.stringify(execute('1'));
    socket.write(
      `POST /graphql HTTP/1.1\r\nHost: x\r\nX-Auth-Token: ${TOKEN}\r\nContent-Type: application/json\r\nAccept-Encoding: ${encoding}\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    await once(socket, 'readable');
    await until('The cut', async () => (await callsInFlight(origin)) === 0);
  });
});

async function callsInFlight(origin: string): Promise<number> {
  const response = await fetch(`${origin}/metrics`, { headers: { 'X-Auth-Token': TOKEN } });
  return Number(/^cellhouse_calls_in_flight (\d+)$/m.exec(await response.text())?.[1]);
}
