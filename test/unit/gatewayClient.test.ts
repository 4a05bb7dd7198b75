import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { askGateway, followGateway, RefusedError } from '../../src/cli/gatewayClient.ts';

/** The address of a server that gives this answer. */
async function answering(status: number, type: string, body: string) {
  const listener: RequestListener = (_req, res) => {
    res.writeHead(status, { 'Content-Type': type, Connection: 'close' }).end(body);
  };
  const server = createServer(listener);
  onTestFinished(() => void server.close());
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, token: 'x' };
}

const JSON_TYPE = 'application/json; charset=utf-8';
const errors = (message: string) => JSON.stringify({ errors: [{ message }] });
type At = Awaited<ReturnType<typeof answering>>;
const ask = (at: At): Promise<unknown> => askGateway(at, '{ me { role } }');
const follow = async (at: At): Promise<unknown> => (await followGateway(at, '', {}).next()).value;

describe('a client of a gateway', () => {
  it.each([
    ['a query', ask],
    ['a subscription', follow],
  ])('fails with a RefusedError that says why, if %s is refused', async (_what, call) => {
    const failure = await call(
      await answering(401, JSON_TYPE, errors('The token is wrong, expired or revoked.')),
    ).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(RefusedError);
    expect(failure).toMatchObject({ message: 'The token is wrong, expired or revoked.' });
  });

  it('says why a gateway cannot serve a subscription for now, without a RefusedError', async () => {
    const away = await answering(503, JSON_TYPE, errors('The database is away.'));
    const failure = await follow(away).catch((error: unknown) => error);
    expect(failure).not.toBeInstanceOf(RefusedError);
    expect(failure).toMatchObject({ message: 'The database is away.' });
  });

  it.each([
    ['a query', ask],
    ['a subscription', follow],
  ])('says that what answered %s is not a gateway', async (_what, call) => {
    const proxy = await answering(502, 'text/html', '<h1>Bad Gateway</h1>');
    await expect(call(proxy)).rejects.toThrow('is no gateway: its answer, with status 502');
  });

  it('follows events up to the end', async () => {
    const body = 'event: next\ndata: {"data":{"a":1}}\n\nevent: complete\ndata:\n\n';
    const seen = [];
    for await (const each of followGateway(await answering(200, 'text/event-stream', body), '', {}))
      seen.push(each);
    expect(seen).toEqual([{ a: 1 }]);
  });
});
