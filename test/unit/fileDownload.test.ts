/** A download from the agent: which answers it accepts, and the memory of its pieces. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KernelHttpError } from '../../src/kernel/channel/kernelErrors.ts';
import { download } from '../../src/kernel/files/transfer.ts';
import { socketAddress } from '../../src/runtime/docker/workerSocket.ts';

const MIB = 1_048_576;
const OK = (length: number) =>
  `HTTP/1.1 200 OK\r\nConnection: close\r\nX-Any: Name: 1 \r\nContent-Length: ${length}\r\n\r\n`;

let folder: string;
let server: Server;
let answer: (socket: Socket, request: string) => void;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ch-download-'));
  server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', (request) => answer(socket, request.toString()));
  }).listen(join(folder, 's'));
  await once(server, 'listening');
});
afterEach(() => {
  server.close();
  rmSync(folder, { recursive: true });
});

const ask = (signal?: AbortSignal) =>
  download(socketAddress(join(folder, 's')), '/files/content?path=a', signal);
const answersWith = (...parts: (string | Buffer)[]) => {
  answer = (socket) => {
    for (const part of parts) socket.write(part);
    socket.end();
  };
};
/** Bytes with numbers, so that a piece that is lost, doubled or overwritten shows. */
const numbered = (bytes: number) => {
  const block = Buffer.alloc(bytes);
  for (let at = 0; at < bytes; at += 4) block.writeUInt32LE(at, at);
  return block;
};

describe('a download', () => {
  it('gives status, headers and the bytes of the body', async () => {
    let request = '';
    answer = (socket, asked) => {
      request = asked;
      socket.end(`${OK(5)}hello`);
    };
    const { status, headers, body } = await ask();
    expect(request).toMatch(/^GET \/files\/content\?path=a HTTP\/1.1\r\n/);
    expect(status).toBe(200);
    expect(headers).toMatchObject({ 'x-any': 'Name: 1', 'content-length': '5' });
    expect((await buffer(body)).toString()).toBe('hello');
  });

  it('understands a head that comes byte by byte', async () => {
    answer = async (socket) => {
      socket.setNoDelay(true);
      for (const character of `${OK(2)}ab`) {
        socket.write(character);
        await new Promise((resolve) => setImmediate(resolve));
      }
      socket.end();
    };
    expect((await buffer((await ask()).body)).toString()).toBe('ab');
  });

  it('has an empty body for an empty file and for one that was not modified', async () => {
    answersWith(OK(0));
    expect((await buffer((await ask()).body)).length).toBe(0);
    answersWith('HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n');
    const { status, body } = await ask();
    expect([status, (await buffer(body)).length]).toEqual([304, 0]);
  });

  it('ends at the last byte, even if the agent keeps the connection', async () => {
    answer = (socket) => void socket.write(`${OK(2)}ab`);
    expect((await buffer((await ask()).body)).toString()).toBe('ab');
  });

  it.each([
    ['shorter than announced', [`${OK(9)}short`]],
    ['longer than announced', [`${OK(2)}longer`]],
    ['nothing', []],
    ['half a head', [OK(2).slice(0, 30)]],
    ['no HTTP', ['SSH-2.0-any\r\n\r\n']],
    ['a malformed length', ['HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n']],
    ['a line that is not a header', ['HTTP/1.1 200 OK\r\nno header\r\n\r\n']],
    ['chunks', ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n']],
    ['a head without an end', ['HTTP/1.1 200 OK\r\nA: ', 'a'.repeat(MIB)]],
  ])('fails if the answer is %s', async (_, parts) => {
    answersWith(...parts);
    const whole = ask().then(({ body }) => buffer(body));
    await expect(whole).rejects.toThrow(/announced|malformed/);
  });

  it('fails with the refusal that the agent sends', async () => {
    const refusal = (text: string) =>
      `HTTP/1.1 409 Conflict\r\nContent-Length: ${text.length}\r\n\r\n${text}`;
    answersWith(refusal('{"error":"not_a_file","message":"This is a folder."}'));
    await expect(ask()).rejects.toMatchObject({ code: 'not_a_file' });
    answersWith(refusal('what?'));
    await expect(ask()).rejects.toThrow(KernelHttpError);
    answersWith(`HTTP/1.1 500 Failed\r\n\r\n${'x'.repeat(MIB)}`);
    await expect(ask()).rejects.toMatchObject({ status: 500 });
  });

  it('ends with the reason of its signal, before and after the head', async () => {
    const before = new AbortController();
    answer = () => before.abort(new Error('enough'));
    await expect(ask(before.signal)).rejects.toThrow('enough');
    const after = new AbortController();
    answer = (socket) => void socket.write(`${OK(9)}part`);
    const { body } = await ask(after.signal);
    const whole = buffer(body);
    after.abort(new Error('no more'));
    await expect(whole).rejects.toThrow('no more');
  });

  it('reuses the memory of pieces that are given back, and of no others', async () => {
    const bytes = numbered(32 * MIB);
    answersWith(OK(bytes.length), bytes);
    const given = await ask();
    const memories = new Set<ArrayBufferLike>();
    const received = Buffer.alloc(bytes.length);
    let at = 0;
    for await (const piece of given.body as AsyncIterable<Buffer>) {
      at += piece.copy(received, at);
      memories.add(piece.buffer);
      given.giveBack(piece);
    }
    expect(received.equals(bytes)).toBe(true);
    expect(memories.size).toBeLessThan(8);
    answersWith(OK(bytes.length), bytes);
    expect((await buffer((await ask()).body)).equals(bytes)).toBe(true);
  });

  it('takes only a few pieces from the agent while nobody reads the download', async () => {
    const bytes = numbered(8 * MIB);
    let connection: Socket | null = null;
    answer = (socket) => {
      connection = socket;
      socket.write(OK(bytes.length));
      socket.end(bytes);
    };
    const { body } = await ask();
    // Waits for the first piece, and then until nothing more happens without a reader.
    while (body.readableLength === 0) await new Promise((resolve) => setImmediate(resolve));
    for (let turn = 0; turn < 100; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    expect(body.readableLength).toBeLessThan(MIB);
    expect((connection as Socket | null)?.writableLength).toBeGreaterThan(4 * MIB);
    expect((await buffer(body)).equals(bytes)).toBe(true);
  });
});
