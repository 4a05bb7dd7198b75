/** An upload at a gateway that does not know for a while which tokens are valid. The server and its client are real. */
import { once } from 'node:events';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pause } from '../../src/async/pause.ts';
import { uploadOf } from '../../src/server/http/files/receiveFile.ts';
import { createTokenEnd, type OpenTokenEnd } from '../../src/service/access/tokenEnd.ts';

/** Longer than the whole body takes to arrive. */
const A_WHILE_MS = 50;
const BODY = 'the whole of it';

let tokenEnd: OpenTokenEnd;
const server = createServer(async (req, res) => {
  try {
    const body = await buffer(uploadOf(req, res, tokenEnd, () => {}));
    res.end(body);
  } catch (error: unknown) {
    res.writeHead(500).end(String(error));
  }
});
beforeAll(() => once(server.listen(0, '127.0.0.1'), 'listening'));
afterAll(() => {
  server.close();
  server.closeAllConnections();
});

/**
 * Sends the body in one piece. {@link A_WHILE_MS} later, the gateway learns whether the token is valid. Resolves with
 * the answer.
 */
async function upload(
  headers: Record<string, string | number>,
  isValid: boolean,
): Promise<[number, string]> {
  let known: Promise<void> | null = null;
  let isAsked = false;
  tokenEnd = createTokenEnd(() => {
    if (!isAsked)
      known = pause(A_WHILE_MS).then(() => {
        if (!isValid) tokenEnd.end();
        known = null;
      });
    isAsked = true;
    return known;
  });
  const { port } = server.address() as AddressInfo;
  const sending = request({ port, host: '127.0.0.1', method: 'PUT', headers });
  sending.end(BODY);
  const [response] = await once(sending, 'response');
  return [response.statusCode, (await buffer(response)).toString()];
}

describe.each([
  ['chunked', {}],
  ['with its length', { 'Content-Length': BODY.length }],
])(
  'an upload %s that has arrived before the gateway knows whether its token is valid',
  (_how, headers) => {
    it('is read to its end if the token is valid', async () => {
      expect(await upload(headers, true)).toEqual([200, BODY]);
    });

    it('is cut if the token has ended', async () => {
      expect(await upload(headers, false)).toEqual([500, expect.stringContaining('revoked')]);
    });
  },
);

it('an upload fails when its client says nothing for too long, and not while nobody reads it', async () => {
  const silenceMs = 40;
  const outcomes: unknown[] = [];
  const silent = createServer(async (req, res) => {
    const body = uploadOf(
      req,
      res,
      createTokenEnd(() => null),
      () => {},
      silenceMs,
    );
    // For longer than the limit, nobody reads the body.
    await new Promise((resolve) => setTimeout(resolve, 3 * silenceMs));
    outcomes.push(await buffer(body).catch((error: { code: string }) => error.code));
    res.end();
  });
  await once(silent.listen(0, '127.0.0.1'), 'listening');
  const { port } = silent.address() as AddressInfo;
  const sending = request({ port, host: '127.0.0.1', method: 'PUT' });
  sending.write('half');
  await once(sending, 'response');
  expect(outcomes).toEqual(['FILE_TIMEOUT']);
  sending.destroy();
  silent.close();
  silent.closeAllConnections();
});
