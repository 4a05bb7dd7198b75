import { describe, expect, it } from 'vitest';
import { DomainError } from '../../src/domain/errors.ts';
import type { OutputItem } from '../../src/domain/output.ts';
import { createGate } from '../support/gate.ts';
import { executionRow, memoryService, outputItems, POOL_STATUS } from '../support/memoryService.ts';
import { pulledStream } from '../support/pulledStream.ts';
import {
  type Connection,
  MAX_BODY_BYTES,
  opened,
  openSocket,
  startTransport,
  TOKEN,
} from '../support/transportServer.ts';

const FOLLOW = 'subscription { output(executionId: "x") { seq ... on StreamOutput { text } } }';
const POOL_QUERY = '{ poolStatus { totalWorkers } }';

const execution = executionRow();

function textItem(text: string): OutputItem {
  const [item] = outputItems(execution, [{ kind: 'stream', name: 'stdout', text }]);
  if (!item) throw new Error('One output makes one item.');
  return item;
}

function subscribe(connection: Connection, query: string, id = '1'): void {
  connection.send({ id, type: 'subscribe', payload: { query } });
}

describe('the token over WebSocket', () => {
  it.each([
    { 'X-Auth-Token': TOKEN },
    { 'x-auth-token': TOKEN },
    { Authorization: `Bearer ${TOKEN}` },
    { AUTHORIZATION: `bearer ${TOKEN}` },
  ])('is taken from connectionParams %o', async (payload) => {
    const { port } = await startTransport(memoryService());
    const connection = openSocket(port);
    await opened(connection);
    connection.send({ type: 'connection_init', payload });
    expect((await connection.take()).type).toBe('connection_ack');
  });

  it('is taken from the headers of the upgrade', async () => {
    const { port } = await startTransport(memoryService());
    const connection = openSocket(port, { 'X-Auth-Token': TOKEN });
    await opened(connection);
    connection.send({ type: 'connection_init' });
    expect((await connection.take()).type).toBe('connection_ack');
  });

  it.each([[undefined], [{}], [{ 'X-Auth-Token': 'wrong' }], [{ 'X-Auth-Token': 7 }]])(
    '%o closes with 4403',
    async (payload) => {
      const { port } = await startTransport(memoryService());
      const connection = openSocket(port);
      await opened(connection);
      connection.send({ type: 'connection_init', payload });
      expect(await connection.closed).toBe(4403);
    },
  );

  it('is needed before anything is run', async () => {
    const { port } = await startTransport(memoryService());
    const connection = openSocket(port);
    await opened(connection);
    subscribe(connection, POOL_QUERY);
    expect(await connection.closed).toBe(4401);
  });
});

describe('a WebSocket from a web page', () => {
  const config = { corsOrigins: ['https://app.example.com'] };
  const outcome = async (port: number, headers: Record<string, string>) => {
    const { socket, closed } = openSocket(port, headers);
    closed.catch(() => undefined);
    return await new Promise<string>((resolve) => {
      socket.once('open', () => resolve('open'));
      socket.once('error', ({ message }) => resolve(message));
    });
  };

  it.each([
    { Origin: 'https://app.example.com' },
    { Origin: 'https://cells.example.com', Host: 'cells.example.com' },
    { Origin: 'http://cells.example.com:8000', Host: 'Cells.example.com:8000' },
    {},
  ])('is opened for %o', async (headers) => {
    const { port } = await startTransport(memoryService(), { config });
    expect(await outcome(port, headers)).toBe('open');
  });

  it('is opened for pages of the same address', async () => {
    const { port, origin } = await startTransport(memoryService());
    expect(await outcome(port, { Origin: origin })).toBe('open');
  });

  it.each([
    { Origin: 'https://evil.example.com' },
    { Origin: 'https://app.example.com.evil.example.com' },
    { Origin: 'https://cells.example.com:8000', Host: 'cells.example.com' },
    { Origin: 'null' },
  ])('is refused with 403 for %o', async (headers) => {
    const { port } = await startTransport(memoryService(), { config });
    expect(await outcome(port, headers)).toContain('403');
  });
});

describe('operations over WebSocket', () => {
  it('run queries too', async () => {
    const { connect } = await startTransport(memoryService());
    const connection = await connect();
    subscribe(connection, POOL_QUERY);
    expect((await connection.take()).payload).toEqual({
      data: { poolStatus: { totalWorkers: 3 } },
    });
    expect(await connection.take()).toEqual({ id: '1', type: 'complete' });
  });

  it('carry odd text as it is', async () => {
    const text = '\u0000\ud800 正弦波 😀';
    const stream = pulledStream((n) => (n === 1 ? textItem(text) : null));
    const { connect } = await startTransport(
      memoryService({ followExecution: async () => stream }),
    );
    const connection = await connect();
    subscribe(connection, FOLLOW);
    expect(await connection.take()).toEqual({
      id: '1',
      type: 'next',
      payload: { data: { output: { seq: 1, text } } },
    });
  });

  it('end the source at once when the client unsubscribes, or leaves, while nothing comes', async () => {
    const streams = [pulledStream<OutputItem>(() => null), pulledStream<OutputItem>(() => null)];
    let next = 0;
    const { connect, query } = await startTransport(
      memoryService({
        followExecution: async () => {
          const stream = streams[next];
          next += 1;
          if (!stream) throw new Error('Only two are expected.');
          return stream;
        },
      }),
    );
    const connection = await connect();
    subscribe(connection, FOLLOW, 'a');
    subscribe(connection, FOLLOW, 'b');
    subscribe(connection, POOL_QUERY, 'c');
    while ((await connection.take()).type !== 'complete');
    await query(POOL_QUERY);
    connection.send({ id: 'a', type: 'complete' });
    await streams[0]?.returned;
    expect(streams[1]?.isReturned).toBe(false);
    connection.socket.terminate();
    await streams[1]?.returned;
  });

  it.each(['unsubscribes', 'leaves'])(
    'end a source that exists only after the client %s',
    async (how) => {
      const stream = pulledStream<OutputItem>(() => null);
      const [asked, gone] = [createGate(), createGate()];
      const { connect, query } = await startTransport(
        memoryService({
          followExecution: async () => {
            asked.open();
            await gone.isOpen;
            return stream;
          },
        }),
      );
      const connection = await connect();
      subscribe(connection, FOLLOW, 'a');
      await asked.isOpen;
      if (how === 'leaves') connection.socket.terminate();
      else connection.send({ id: 'a', type: 'complete' });
      // After two more calls the server has noticed that the client unsubscribed or left.
      for (let call = 0; call < 2; call += 1) await query(POOL_QUERY);
      gone.open();
      await stream.returned;
    },
  );

  it('pull no faster than the client reads', async () => {
    const total = 4_000;
    const text = 'x'.repeat(16_384);
    const stream = pulledStream((n) => (n <= total ? textItem(text) : null));
    const { connect, query } = await startTransport(
      memoryService({ followExecution: async () => stream }),
    );
    const connection = await connect();
    connection.socket.pause();
    subscribe(connection, FOLLOW);
    const held = await steady(
      () => stream.pulls,
      () => query(POOL_QUERY),
    );
    expect(held).toBeGreaterThan(0);
    expect(held * text.length).toBeLessThan((total * text.length) / 2);
    connection.socket.resume();
    for (let taken = 0; taken < total; taken += 1) await connection.take();
    expect(stream.pulls).toBe(total + 1);
  });

  it('give an expected failure its code, and mask other failures, which are logged once', async () => {
    const stream = pulledStream<OutputItem>(() => null);
    const server = await startTransport(
      memoryService({
        followExecution: async (_principal, id) => {
          if (id === 'x') return stream;
          throw new DomainError('NOT_FOUND', 'There is no execution y.', { field: 'executionId' });
        },
      }),
    );
    const connection = await server.connect();
    subscribe(connection, FOLLOW.replace('"x"', '"y"'), 'y');
    const notFound = await connection.take();
    expect(JSON.stringify(notFound)).toContain('"code":"NOT_FOUND"');
    expect(server.log).toEqual([]);

    subscribe(connection, FOLLOW, 'x');
    await steady(
      () => stream.pulls,
      () => server.query(POOL_QUERY),
    );
    stream.fail(new Error('the secret is 42'));
    let failed = await connection.take();
    while (failed.id !== 'x') failed = await connection.take();
    expect(JSON.stringify(failed)).toContain('"code":"INTERNAL"');
    expect(JSON.stringify(failed)).not.toContain('secret');
    expect(server.log).toHaveLength(1);
  });

  it('answer bad documents with errors that have only a code in their extensions', async () => {
    const { connect } = await startTransport(memoryService());
    const connection = await connect();
    for (const query of ['{', '{ nothing }']) {
      subscribe(connection, query, query);
      const { type, payload } = await connection.take();
      expect(type).toBe('error');
      expect(payload).toEqual([
        expect.objectContaining({ extensions: { code: expect.any(String) } }),
      ]);
    }
  });

  it('close on a message over the limit, and on an invalid message', async () => {
    const server = await startTransport(memoryService());
    const tooLarge = await server.connect();
    subscribe(tooLarge, `{ __typename } # ${'x'.repeat(MAX_BODY_BYTES)}`);
    expect(await tooLarge.closed).toBe(1009);
    const garbled = await server.connect();
    garbled.socket.send('garbage');
    expect(await garbled.closed).toBe(4400);
    expect(server.log).toEqual([]);
  });
});

describe('the live pool status', () => {
  it('is sent now and after each change', async () => {
    const stream = pulledStream((n) => (n <= 2 ? { ...POOL_STATUS, idleWorkers: 3 - n } : null));
    const { connect } = await startTransport(memoryService({ followPoolStatus: () => stream }));
    const connection = await connect();
    subscribe(connection, 'subscription { poolStatus { idleWorkers } }');
    expect((await connection.take()).payload).toEqual({ data: { poolStatus: { idleWorkers: 2 } } });
    expect((await connection.take()).payload).toEqual({ data: { poolStatus: { idleWorkers: 1 } } });
  });
});

/** The value of `read` once it has not changed for several round trips in a row. */
async function steady(read: () => number, roundTrip: () => Promise<unknown>): Promise<number> {
  const wanted = 20;
  let last = -1;
  for (let same = 0; same < wanted; same += 1) {
    await roundTrip();
    if (read() !== last) same = 0;
    last = read();
  }
  return last;
}
