/**
 * The graphql-transport-ws protocol (PROTOCOL.md of graphql-ws), message by message: every close code, and the mistakes
 * that leave the socket open.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect as connectTcp, createServer as createTcpServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import { DomainError } from '../../src/domain/errors.ts';
import type { OutputItem } from '../../src/domain/output.ts';
import { newId } from '../../src/process/newId.ts';
import { memoryService } from '../support/memoryService.ts';
import { type PulledStream, pulledStream } from '../support/pulledStream.ts';
import {
  type Connection,
  opened,
  openSocket,
  startTransport,
  TOKEN,
} from '../support/transportServer.ts';

const QUERY = '{ poolStatus { totalWorkers } }';
const FOLLOW = 'subscription { output(executionId: "x") { seq } }';
const ACK = { type: 'connection_ack' };
/** Longer than the server gives a client to send connection_init. */
const INIT_TEST_TIMEOUT_MS = 15_000;

const quiet = () =>
  memoryService({ followExecution: async () => pulledStream<OutputItem>(() => null) });

async function raw(): Promise<Connection> {
  const { port } = await startTransport(quiet());
  const connection = openSocket(port);
  await opened(connection);
  return connection;
}

async function acknowledged(): Promise<Connection> {
  return await (await startTransport(quiet())).connect();
}

const init = (connection: Connection, payload: unknown = { 'X-Auth-Token': TOKEN }) =>
  connection.send({ type: 'connection_init', payload });
const subscribe = (connection: Connection, id: string, query: string) =>
  connection.send({ id, type: 'subscribe', payload: { query } });

describe('the handshake', () => {
  it('speaks graphql-transport-ws', async () => {
    const connection = await raw();
    expect(connection.socket.protocol).toBe('graphql-transport-ws');
    init(connection);
    expect(await connection.take()).toEqual(ACK);
  });

  it.each([[['graphql-ws']], [['something', 'else']], [[]]])(
    'closes with 4406 where the client speaks %j',
    async (protocols) => {
      const { port } = await startTransport(quiet());
      const socket = new WebSocket(`ws://127.0.0.1:${port}/graphql`, protocols);
      const code = await new Promise((resolve) => {
        socket.on('close', resolve);
        socket.on('error', () => resolve('refused'));
      });
      // A client that offered protocols itself refuses an answer that accepts none of them.
      expect([4406, 'refused']).toContain(code);
      if (protocols.length === 0) expect(code).toBe(4406);
    },
  );

  it.each(['graphql-ws', 'something, else'])(
    'sends the close code 4406 to a client that offers only %s',
    async (offered) => {
      const { port } = await startTransport(quiet());
      expect(await closeCodeOnWire(port, offered)).toBe(4406);
    },
  );

  it('closes with 4408 when connection_init does not come', {
    timeout: INIT_TEST_TIMEOUT_MS,
  }, async () => {
    expect(await (await raw()).closed).toBe(4408);
  });

  it('closes with 4429 on a second connection_init', async () => {
    const connection = await acknowledged();
    init(connection);
    expect(await connection.closed).toBe(4429);
  });

  it('closes with 4429 when both messages come at once', async () => {
    const connection = await raw();
    init(connection);
    init(connection);
    expect(await connection.closed).toBe(4429);
  });

  it('closes with 4401 on an operation before the acknowledgement', async () => {
    const connection = await raw();
    subscribe(connection, '1', QUERY);
    expect(await connection.closed).toBe(4401);
  });

  it('closes with 4403 on a wrong token, and runs no operation that came with it', async () => {
    const connection = await raw();
    init(connection, { 'X-Auth-Token': 'wrong' });
    subscribe(connection, '1', QUERY);
    expect([4401, 4403]).toContain(await connection.closed);
    const alone = await raw();
    init(alone, { 'X-Auth-Token': 'wrong' });
    expect(await alone.closed).toBe(4403);
  });
});

describe('an invalid message closes with 4400', () => {
  it.each([
    ['no JSON', 'garbage'],
    ['no object', '7'],
    ['null', 'null'],
    ['no type', '{}'],
    ['an unknown type', '{"type":"start"}'],
    ['a payload that is not an object', '{"type":"connection_init","payload":"x"}'],
    ['no id', '{"type":"subscribe","payload":{"query":"{ __typename }"}}'],
    ['an empty id', '{"id":"","type":"subscribe","payload":{"query":"{ __typename }"}}'],
    ['an id that is not text', '{"id":7,"type":"subscribe","payload":{"query":"{ __typename }"}}'],
    ['no payload', '{"id":"1","type":"subscribe"}'],
    ['no query', '{"id":"1","type":"subscribe","payload":{}}'],
    [
      'variables that are not an object',
      '{"id":"1","type":"subscribe","payload":{"query":"{ __typename }","variables":[]}}',
    ],
    [
      'an operation name that is not text',
      '{"id":"1","type":"subscribe","payload":{"query":"{ __typename }","operationName":7}}',
    ],
    [
      'extensions that are not an object',
      '{"id":"1","type":"subscribe","payload":{"query":"{ __typename }","extensions":"x"}}',
    ],
    ['a ping whose payload is not an object', '{"type":"ping","payload":"x"}'],
    ['a complete of nothing', '{"type":"complete"}'],
  ])('%s', async (_name, message) => {
    const connection = await acknowledged();
    connection.socket.send(message);
    expect(await connection.closed).toBe(4400);
  });

  it('a binary frame that holds no message', async () => {
    const connection = await acknowledged();
    connection.socket.send(Buffer.from([1, 2, 3]));
    expect(await connection.closed).toBe(4400);
  });
});

describe('operations', () => {
  it('close with 4409 when their id is taken, and the id is free again once it is over', async () => {
    const connection = await acknowledged();
    for (let turn = 0; turn < 2; turn += 1) {
      subscribe(connection, '1', QUERY);
      expect(await connection.take()).toMatchObject({ id: '1', type: 'next' });
      expect(await connection.take()).toEqual({ id: '1', type: 'complete' });
    }
    subscribe(connection, '1', FOLLOW);
    subscribe(connection, '1', FOLLOW);
    expect(await connection.closed).toBe(4409);
  });

  it.each([
    ['a document that cannot be parsed', '{'],
    ['a field that is not there', '{ nothing }'],
    ['a document of types', 'type Query { a: Int }'],
    ['nothing', ''],
    ['operations none of which is named', 'query A { __typename } query B { __typename }'],
    [
      'a subscription to two fields',
      'subscription { a: poolStatus { totalWorkers } b: poolStatus { totalWorkers } }',
    ],
  ])('answer %s with an error for that id, and the socket stays open', async (_name, query) => {
    const connection = await acknowledged();
    subscribe(connection, 'bad', query);
    expect(await connection.take()).toMatchObject({ id: 'bad', type: 'error' });
    subscribe(connection, 'bad', QUERY);
    expect(await connection.take()).toMatchObject({ id: 'bad', type: 'next' });
  });

  it('answer an unknown operation name with an error, and the socket stays open', async () => {
    const connection = await acknowledged();
    const payload = { query: 'query A { __typename }', operationName: 'B' };
    connection.send({ id: 'bad', type: 'subscribe', payload });
    expect(await connection.take()).toMatchObject({
      id: 'bad',
      type: 'error',
      payload: [{ extensions: { code: 'BAD_USER_INPUT' } }],
    });
    subscribe(connection, 'bad', QUERY);
    expect(await connection.take()).toMatchObject({ id: 'bad', type: 'next' });
  });

  it('free their id when the client completes them', async () => {
    const connection = await acknowledged();
    subscribe(connection, '1', FOLLOW);
    connection.send({ id: '1', type: 'complete' });
    subscribe(connection, '1', QUERY);
    expect(await connection.take()).toMatchObject({ id: '1', type: 'next' });
  });

  it('are in flight until they have ended, also if another one gets their id meanwhile', async () => {
    const ends: (() => void)[] = [];
    const execute = () =>
      new Promise<never>((_, reject) => {
        ends.push(() => reject(new DomainError('QUEUE_FULL', 'The queue is full.')));
      });
    const { connect, origin } = await startTransport(memoryService({ execute }));
    const inFlight = async () => {
      const answer = await fetch(`${origin}/metrics`, { headers: { 'X-Auth-Token': TOKEN } });
      return /^cellhouse_calls_in_flight (\d+)$/m.exec(await answer.text())?.[1];
    };
    const connection = await connect();
    const run = 'mutation { execute(input: { userUuid: "u", code: "1" }) { id } }';
    for (let count = 1; count <= 2; count += 1) {
      subscribe(connection, '1', run);
      await expect.poll(() => ends.length).toBe(count);
      if (count === 1) connection.send({ id: '1', type: 'complete' });
    }
    expect(await inFlight()).toBe('2');
    for (const end of ends) end();
    await expect.poll(inFlight).toBe('0');
  });

  it('run side by side, and each is completed separately', async () => {
    const connection = await acknowledged();
    subscribe(connection, 'stream', FOLLOW);
    subscribe(connection, 'one', QUERY);
    expect(await connection.take()).toMatchObject({ id: 'one', type: 'next' });
    expect(await connection.take()).toEqual({ id: 'one', type: 'complete' });
    connection.send({ type: 'ping', payload: { at: 1 } });
    expect(await connection.take()).toEqual({ type: 'pong', payload: { at: 1 } });
  });

  it('ignore the completion of an unknown id', async () => {
    const connection = await acknowledged();
    connection.send({ id: newId(), type: 'complete' });
    connection.send({ type: 'pong' });
    subscribe(connection, '1', QUERY);
    expect(await connection.take()).toMatchObject({ id: '1', type: 'next' });
  });

  it('are refused one by one beyond the limit of a connection, and the others go on', async () => {
    const connection = await acknowledged();
    const wanted = 10_000;
    for (let n = 0; n < wanted; n += 1) subscribe(connection, `s${n}`, FOLLOW);
    subscribe(connection, 'last', QUERY);
    let refused = 0;
    for (;;) {
      const message = await connection.take();
      if (message.id === 'last') {
        expect(message.type).toBe('error');
        break;
      }
      expect(message).toMatchObject({
        type: 'error',
        payload: [{ extensions: { code: 'QUOTA_EXCEEDED', limit: 256 } }],
      });
      refused += 1;
    }
    expect(refused).toBe(wanted - 256);
    connection.send({ id: 's0', type: 'complete' });
    subscribe(connection, 'again', QUERY);
    expect(await connection.take()).toMatchObject({ id: 'again', type: 'next' });
  });
});

describe('a server that stops', () => {
  it('closes with 1012, and completes no stream that is not over', async () => {
    const { server, connect } = await startTransport(quiet());
    const connection = await connect();
    subscribe(connection, 'stream', FOLLOW);
    subscribe(connection, 'one', QUERY);
    expect(await connection.take()).toMatchObject({ id: 'one', type: 'next' });
    expect(await connection.take()).toEqual({ id: 'one', type: 'complete' });
    const last = connection.take();
    await Promise.all([server.close(), expect(last).rejects.toThrow('Closed with 1012.')]);
    expect(await connection.closed).toBe(1012);
  });
});

const FOLLOW_TEXT = 'subscription { output(executionId: "x") { ... on StreamOutput { text } } }';

function textItem(seq: number, text: string): OutputItem {
  return {
    executionId: newId(),
    seq,
    at: new Date(),
    output: { kind: 'stream', name: 'stdout', text },
  };
}

describe('a client that reads nothing', () => {
  const flooding = () => {
    const text = 'x'.repeat(65_536);
    const streams: PulledStream<OutputItem>[] = [];
    const followExecution = async () => {
      const stream = pulledStream((n) => textItem(n, text));
      streams.push(stream);
      return stream;
    };
    return { streams, service: memoryService({ followExecution }) };
  };

  it('is cut after a while even without its closing frame, and others notice nothing', async () => {
    const { streams, service } = flooding();
    const server = await startTransport(service, { config: { slowReaderTimeoutMs: 300 } });
    const slow = await server.connect();
    subscribe(slow, '1', FOLLOW_TEXT);
    await slow.take();
    slow.socket.pause();
    let isCut = false;
    void streams[0]?.returned.then(() => {
      isCut = true;
    });
    const other = await server.connect();
    while (!isCut) {
      subscribe(other, 'q', QUERY);
      expect(await other.take()).toMatchObject({ type: 'next' });
      expect(await other.take()).toEqual({ id: 'q', type: 'complete' });
    }
    slow.socket.resume();
    expect(await slow.closed).toBe(1006);
  });

  it('has many streams that wait for its end, without a warning about too many listeners', async () => {
    const warnings: Error[] = [];
    const onWarning = (warning: Error) => warnings.push(warning);
    process.on('warning', onWarning);
    onTestFinished(() => void process.off('warning', onWarning));
    const { streams, service } = flooding();
    const idle: PulledStream<OutputItem>[] = [];
    const followSession = async () => {
      const stream = pulledStream<OutputItem>(() => null);
      idle.push(stream);
      return stream;
    };
    const server = await startTransport(
      { ...service, followSession },
      { config: { slowReaderTimeoutMs: 300 } },
    );
    const slow = await server.connect();
    for (let n = 0; n < 250; n += 1)
      subscribe(slow, `s${n}`, 'subscription { sessionOutput(userUuid: "x") { seq } }');
    subscribe(slow, 'flood', FOLLOW_TEXT);
    await slow.take();
    slow.socket.pause();
    let isCut = false;
    void streams[0]?.returned.then(() => {
      isCut = true;
    });
    // The streams fail one after the other. Their errors are sent and never read or, once the connection is closing,
    // not even sent.
    while (!isCut) {
      idle.pop()?.fail(new DomainError('NOT_FOUND', 'Gone.'));
      await delay(5);
    }
    expect(warnings).toEqual([]);
  });
});

describe('a client that reads slowly', () => {
  it('gets a whole large message, even if that takes far longer than the limit', async () => {
    const timeoutMs = 400;
    const text = 'x'.repeat(16 * 1024 * 1024);
    const followExecution = async () => pulledStream((n) => (n === 1 ? textItem(1, text) : null));
    const service = memoryService({ followExecution, maxResponseBytes: 2 * text.length });
    const { port } = await startTransport(service, { config: { slowReaderTimeoutMs: timeoutMs } });
    const relay = await throttledRelay(port, { bytesPerTick: 256 * 1024, tickMs: 50 });
    const slow = openSocket(relay);
    await opened(slow);
    slow.send({ type: 'connection_init', payload: { 'X-Auth-Token': TOKEN } });
    expect(await slow.take()).toEqual(ACK);
    const startedAt = performance.now();
    subscribe(slow, '1', FOLLOW_TEXT);
    expect(await slow.take()).toEqual({
      id: '1',
      type: 'next',
      payload: { data: { output: { text } } },
    });
    expect(performance.now() - startedAt).toBeGreaterThan(4 * timeoutMs);
    expect(slow.socket.readyState).toBe(WebSocket.OPEN);
  });
});

/** The port of a relay that limits the speed of the server's bytes. */
async function throttledRelay(
  port: number,
  { bytesPerTick, tickMs }: { readonly bytesPerTick: number; readonly tickMs: number },
): Promise<number> {
  const relay = createTcpServer((client) => {
    const server = connectTcp(port, '127.0.0.1');
    onTestFinished(() => {
      client.destroy();
      server.destroy();
    });
    client.pipe(server);
    server.pause().on('end', () => client.end());
    let room = 0;
    const timer = setInterval(() => {
      room = bytesPerTick;
      server.resume();
    }, tickMs);
    server.on('data', (chunk) => {
      client.write(chunk);
      room -= chunk.length;
      if (room <= 0) server.pause();
    });
    server.on('close', () => clearInterval(timer));
  });
  onTestFinished(() => void relay.close());
  relay.listen(0, '127.0.0.1');
  await once(relay, 'listening');
  return (relay.address() as AddressInfo).port;
}

/** The code of the close frame that a client with these sub-protocols gets first. */
async function closeCodeOnWire(port: number, protocols: string): Promise<number> {
  const socket = connectTcp(port, '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  socket.write(
    `GET /graphql HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\nSec-WebSocket-Protocol: ${protocols}\r\n\r\n`,
  );
  let received = Buffer.alloc(0);
  for await (const chunk of socket) {
    received = Buffer.concat([received, chunk]);
    const head = received.indexOf('\r\n\r\n');
    const frame = received.subarray(head + 4);
    // RFC 6455, 5.5.1: FIN and opcode 8, the length, then the code.
    if (head >= 0 && frame.length >= 4) {
      expect(frame[0]).toBe(0x88);
      return frame.readUInt16BE(2);
    }
  }
  throw new Error('The connection ended without a close frame.');
}
