import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { describe, expect, it, onTestFinished } from 'vitest';
import { uploadOf } from '../../src/server/http/files/receiveFile.ts';
import { readBytes } from '../../src/server/http/refuse.ts';
import { createTokenEnd } from '../../src/service/access/tokenEnd.ts';

describe.each([
  ['that has arrived completely', 'Content-Length: 4', 'body'],
  ['that has arrived in part', 'Content-Length: 5', 'body'],
])('a body %s', (_what, header, body) => {
  /** A request whose client has left before its body was read. */
  async function left() {
    const server = createServer();
    onTestFinished(() => void server.close());
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1').resume();
    client.write(`PUT / HTTP/1.1\r\nHost: x\r\n${header}\r\n\r\n${body}`);
    const [req, res] = await once(server, 'request');
    const isClosed = new Promise((resolve) => req.once('close', resolve));
    client.end();
    await isClosed;
    return { req: req as IncomingMessage, res };
  }

  it('cannot be read when the client has left', async () => {
    const { req, res } = await left();
    await expect(readBytes(req, res, 100)).rejects.toThrow('The client went away while sending.');
  });

  it('cannot be passed on when the client has left', async () => {
    const { req, res } = await left();
    const upload = uploadOf(
      req,
      res,
      createTokenEnd(() => null),
      () => {},
    );
    await expect(buffer(upload)).rejects.toThrow('The client went away while sending.');
  });
});
