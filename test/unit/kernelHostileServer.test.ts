/**
 * A hostile program has replaced a worker's agent: it owns the socket and sends what no WebSocket library would send.
 * Each time, the gateway closes the connection within bounded memory and time, and the next connection works.
 */
import type { Duplex } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { socketAddress } from '../../src/runtime/docker/workerSocket.ts';
import { type RecordedChannel, recordChannel } from '../../testkit/kernelRunner.ts';
import { frame } from '../support/frames.ts';
import { liveBytes } from '../support/ownProcess.ts';
import { type ScriptedAgent, startScriptedAgent } from '../support/scriptedAgent.ts';

const MEBIBYTE = 1_048_576;
let agent: ScriptedAgent;
let recorded: RecordedChannel;

beforeEach(async () => {
  agent = await startScriptedAgent();
  recorded = connect();
});
afterEach(async () => {
  await recorded.channel.close();
  await agent.close();
});

function connect(limits: { handshakeTimeoutMs?: number } = {}): RecordedChannel {
  const address = socketAddress(agent.socketPath);
  return recordChannel({ address, random: () => 0, ...limits });
}

const opened = (times: number) =>
  recorded.until(() => recorded.told.filter((what) => what === 'open').length >= times);

/** Checks that the connection was given up, and that the next one delivers a message. */
async function goesOn(): Promise<void> {
  await opened(2);
  const seq = agent.say('after');
  await recorded.until(() => recorded.channel.lastSeq >= seq);
  expect(recorded.messages.at(-1)).toMatchObject({ output: { text: 'after' } });
}

/** The header of a server's frame. */
function head(first: number, length: number | bigint): Buffer {
  const bytes = Buffer.alloc(10);
  bytes[0] = first;
  bytes[1] = 127;
  bytes.writeBigUInt64BE(BigInt(length), 2);
  return bytes;
}

describe('bytes that are not WebSocket frames', () => {
  it.each([
    ['a frame of 2^63 bytes', head(0x81, 2n ** 63n)],
    ['a frame of a tebibyte', head(0x81, 2n ** 40n)],
    ['a frame of a byte more than is taken', head(0x81, 64 * MEBIBYTE + 1)],
    ['a compressed frame that nobody asked for', Buffer.from([0xc1, 1, 0x61])],
    ['reserved bits', Buffer.from([0xb1, 1, 0x61])],
    ['an unknown opcode', Buffer.from([0x83, 0])],
    ['a masked frame', Buffer.from([0x81, 0x81, 1, 2, 3, 4, 5])],
    ['a continuation of nothing', Buffer.from([0x80, 0])],
    ['a message within another', Buffer.from([0x01, 1, 0x7b, 0x81, 1, 0x7d])],
    ['a ping in pieces', Buffer.from([0x09, 0])],
    ['a ping that is too long', head(0x89, 200)],
    ['a close with an invalid code', Buffer.from([0x88, 2, 0, 1])],
    ['HTTP', Buffer.from('HTTP/1.1 200 OK\r\n\r\n')],
  ])('end the connection: %s', async (_name, bytes) => {
    await opened(1);
    agent.sendBytes(bytes);
    await goesOn();
  });
});

describe('messages without end', () => {
  it('end the connection if they come in ever more fragments', async () => {
    await opened(1);
    const pieces = Buffer.concat(Array(2_000).fill(Buffer.from([0, 1, 0x78])));
    agent.sendBytes(Buffer.from([0x01, 1, 0x78]));
    agent.sendBytes(pieces);
    await goesOn();
  });

  it('end the connection if they come in empty fragments', async () => {
    await opened(1);
    agent.sendBytes(Buffer.concat([Buffer.from([1, 0]), Buffer.alloc(2 * 100_000)]));
    await goesOn();
  });

  it('end the connection if they come in large fragments, and take no more memory than one message', async () => {
    await opened(1);
    const before = liveBytes();
    const piece = Buffer.concat([head(0x00, MEBIBYTE), Buffer.alloc(MEBIBYTE, 'x')]);
    agent.sendBytes(Buffer.from([0x01, 0]));
    for (let sent = 0; sent < 80; sent += 1) agent.sendBytes(piece);
    await goesOn();
    // The peer is in this process, too: the data that it could not send is freed with its socket.
    expect(liveBytes() - before).toBeLessThan(8 * MEBIBYTE);
  });
});

describe('a peer that sends without reading', () => {
  it('loses the connection if it pings and never reads the pongs', async () => {
    await opened(1);
    const before = liveBytes();
    agent.socket.pause();
    const ping = Buffer.concat([Buffer.from([0x89, 125]), Buffer.alloc(125)]);
    const pings = Buffer.concat(Array(8_000).fill(ping));
    for (let sent = 0; sent < 10; sent += 1) agent.sendBytes(pings);
    await goesOn();
    expect(liveBytes() - before).toBeLessThan(8 * MEBIBYTE);
  });

  it('gets no more than the unread limit', async () => {
    await opened(1);
    agent.socket.pause();
    const code = 'x'.repeat(MEBIBYTE);
    const limits = { timeoutMs: 1, graceMs: 1, maxOutputBytes: 1 };
    let sent = 0;
    while (recorded.channel.execute({ msgId: `e${sent}`, code, ...limits })) sent += 1;
    expect(sent).toBeGreaterThan(20);
    expect(sent).toBeLessThan(40);
    await goesOn();
  });

  it('gets no more bytes than the unread limit, although they are fewer characters', async () => {
    await opened(1);
    const code = 'é'.repeat(20 * MEBIBYTE);
    const limits = { timeoutMs: 1, graceMs: 1, maxOutputBytes: 1 };
    expect(recorded.channel.execute({ msgId: 'e', code, ...limits })).toBe(false);
    await goesOn();
  });

  it('may send fifty thousand messages that are ignored', async () => {
    await opened(1);
    const before = liveBytes();
    const text = frame('comm_msg', {}, { seq: 0 });
    for (let sent = 0; sent < 50_000; sent += 1)
      agent.sendRaw(text.replace('"seq":0', `"seq":${sent + 1}`));
    const allRead = new Promise((resolve) => agent.socket.once('pong', resolve));
    agent.socket.ping();
    await allRead;
    expect(recorded.counts).toMatchObject({ connections: 1, delivered: 0, ignored: 50_000 });
    expect(recorded.channel.lastSeq).toBe(50_000);
    expect(liveBytes() - before).toBeLessThan(8 * MEBIBYTE);
  });
});

describe('answers to the upgrade', () => {
  const ok = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n';
  const forEver = (socket: Duplex, text: string): void => {
    const write = (): void => {
      while (!socket.destroyed && socket.write(text));
    };
    socket.on('drain', write);
    write();
  };
  it.each<[string, (socket: Duplex) => void]>([
    ['a wrong key', (socket) => socket.write(`${ok}Sec-WebSocket-Accept: no\r\n\r\n`)],
    ['no HTTP', (socket) => socket.write('\u0000'.repeat(100))],
    ['a redirect', (s) => s.write('HTTP/1.1 302 x\r\nLocation: ws://192.0.2.1/\r\n\r\n')],
    ['headers without end', (socket) => forEver(socket, `${ok}${'X-Y: z\r\n'.repeat(1_000)}`)],
    ['a header without end', (socket) => forEver(socket, 'x'.repeat(10_000))],
    ['a body without end', (s) => forEver(s, 'HTTP/1.1 500 x\r\n\r\n'.padEnd(10_000, 'x'))],
    ['nothing, and gone', (socket) => socket.destroy()],
  ])('end the connection: %s', async (_name, answer) => {
    const sockets: Duplex[] = [];
    const ends: Promise<unknown>[] = [];
    await opened(1);
    const thrice = new Promise<void>((resolve) => {
      agent.hijack = (socket) => {
        sockets.push(socket);
        ends.push(new Promise((ended) => socket.once('close', ended)));
        // Goes on reading to notice the end of the connection.
        socket.on('error', () => socket.destroy()).on('end', () => socket.destroy());
        socket.resume();
        answer(socket);
        if (sockets.length === 3) resolve();
      };
    });
    agent.cut();
    await thrice;
    agent.hijack = null;
    await goesOn();
    // No connection is left open.
    await Promise.all(ends);
  });

  it('are not enough: without a hello the connection is given up', async () => {
    await opened(1);
    await recorded.channel.close();
    recorded = connect({ handshakeTimeoutMs: 500 });
    await opened(1);
    agent.isSilent = true;
    agent.cut();
    await agent.connected();
    await agent.connected();
    agent.isSilent = false;
    agent.cut();
    await goesOn();
  });
});
