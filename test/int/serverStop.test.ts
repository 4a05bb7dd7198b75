import { once } from 'node:events';
import { connect as connectTcp, createServer as createTcpServer } from 'node:net';
import { text } from 'node:stream/consumers';
import { setInterval as every } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import type { Execution } from '../../src/domain/execution.ts';
import type { OutputItem } from '../../src/domain/output.ts';
import { createServer } from '../../src/server/createServer.ts';
import { executionRow, memoryService } from '../support/memoryService.ts';
import { collectGarbage } from '../support/ownProcess.ts';
import { pulledStream } from '../support/pulledStream.ts';
import { type Connection, serverDeps, startTransport, TOKEN } from '../support/transportServer.ts';

const EXECUTE = 'mutation { execute(input: { userUuid: "x", code: "1" }) { status } }';
const FOLLOW = 'subscription { output(executionId: "x") { seq } }';

/** A service with one execution, accepted or not, which the test ends. */
function heldExecution(isAccepted = true) {
  let finish: () => void = () => undefined;
  let announce: () => void = () => undefined;
  const started = new Promise<void>((resolve) => {
    announce = resolve;
  });
  const execution = new Promise<Execution>((resolve) => {
    finish = () => resolve(executionRow());
  });
  const execute = (_principal: unknown, _request: unknown, onAccepting: () => void) => {
    if (isAccepted) onAccepting();
    announce();
    return execution;
  };
  return { started, finish: () => finish(), execute };
}

async function subscribe(connection: Connection, query: string, id: string): Promise<void> {
  connection.send({ id, type: 'subscribe', payload: { query } });
}

describe('stopping', () => {
  it('waits for calls in flight and answers them, over HTTP and WebSocket', async () => {
    const held = heldExecution();
    const { server, connect, query } = await startTransport(
      memoryService({ execute: held.execute }),
    );
    const connection = await connect();
    subscribe(connection, EXECUTE, '1');
    const answer = query(EXECUTE);
    await held.started;
    await query('{ __typename }');
    const closed = server.close();
    held.finish();
    expect((await answer).data).toEqual({ execute: { status: 'OK' } });
    expect((await connection.take()).payload).toEqual({ data: { execute: { status: 'OK' } } });
    await closed;
    expect(await connection.closed).toBe(1012);
  });

  it('accepts no new connection, but serves calls that still come on a busy one', async () => {
    const held = heldExecution();
    const { server, connect, query, origin } = await startTransport(
      memoryService({ execute: held.execute }),
    );
    const connection = await connect();
    subscribe(connection, EXECUTE, '1');
    await held.started;
    const closed = server.close();
    subscribe(connection, '{ __typename }', '2');
    expect(await connection.take()).toMatchObject({ id: '2', type: 'next' });
    expect(await connection.take()).toMatchObject({ id: '2', type: 'complete' });
    const socket = new WebSocket(origin.replace('http', 'ws'));
    await once(socket, 'error');
    await expect(query('{ __typename }')).rejects.toThrow();
    held.finish();
    expect(await connection.take()).toMatchObject({ id: '1', type: 'next' });
    expect(await connection.take()).toMatchObject({ id: '1', type: 'complete' });
    expect(await connection.closed).toBe(1012);
    await closed;
  });

  it('ends at once all that has no call in flight: WebSockets with their streams, and idle connections', async () => {
    const held = heldExecution();
    const stream = pulledStream<OutputItem>(() => null);
    const { server, connect, query, port } = await startTransport(
      memoryService({ execute: held.execute, followExecution: async () => stream }),
    );
    const [busy, following] = [await connect(), await connect()];
    subscribe(busy, EXECUTE, '1');
    subscribe(following, FOLLOW, '1');
    while (stream.pulls === 0) await query('{ __typename }');
    await held.started;
    const idle = connectTcp(port, '127.0.0.1');
    idle.write('GET /livez HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(idle, 'data');
    const isEnded = once(idle.resume(), 'close');
    const closed = server.close();
    expect(await following.closed).toBe(1012);
    await isEnded;
    expect(busy.socket.readyState).toBe(WebSocket.OPEN);
    held.finish();
    await closed;
    expect(await busy.closed).toBe(1012);
  });

  it('ends an HTTP connection after its last answer, and serves a request that has partly arrived', async () => {
    const held = heldExecution();
    const { server, port, query } = await startTransport(memoryService({ execute: held.execute }));
    const request = (query: string) => {
      const body = JSON.stringify({ query });
      const head = `POST /graphql HTTP/1.1\r\nHost: x\r\nX-Auth-Token: ${TOKEN}\r\n`;
      return `${head}Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    };
    const [waiting, halfWay] = [connectTcp(port, '127.0.0.1'), connectTcp(port, '127.0.0.1')];
    const answers = Promise.all([waiting, halfWay].map((socket) => text(socket)));
    const late = request('{ __typename }');
    await new Promise((resolve) => halfWay.write(late.slice(0, 60), resolve));
    // Once a later request is answered, the server has read that part.
    await query('{ __typename }');
    waiting.write(request(EXECUTE));
    await held.started;
    const closed = server.close();
    halfWay.write(late.slice(60));
    await once(halfWay, 'end');
    held.finish();
    for (const answer of await answers) {
      expect(answer).toMatch(/^HTTP\/1.1 200 OK\r\n/);
      expect(answer).toMatch(/\r\nConnection: close\r\n/i);
    }
    await closed;
  });

  it('answers SHUTTING_DOWN to an accepted call that it will not wait for', async () => {
    const held = heldExecution();
    const { server, query } = await startTransport(memoryService({ execute: held.execute }));
    const answer = query(EXECUTE);
    await held.started;
    const patience = new AbortController();
    const closed = server.close(patience.signal);
    patience.abort();
    await closed;
    expect((await answer).errors).toMatchObject([
      { extensions: { code: 'SHUTTING_DOWN', accepted: true } },
    ]);
  });

  it('waits 7 s at most, even if garbage is collected meanwhile', {
    timeout: 20_000,
  }, async () => {
    const held = heldExecution();
    const { server, query } = await startTransport(memoryService({ execute: held.execute }));
    const answer = query(EXECUTE);
    await held.started;
    const patience = new AbortController();
    const began = performance.now();
    let isClosed = false;
    const closed = server.close(patience.signal).then(() => {
      isClosed = true;
    });
    for await (const _ of every(500)) {
      if (isClosed || performance.now() - began > 10_000) break;
      collectGarbage();
    }
    expect(isClosed).toBe(true);
    await closed;
    expect(performance.now() - began).toBeGreaterThan(6_900);
    expect((await answer).errors).toMatchObject([{ extensions: { code: 'SHUTTING_DOWN' } }]);
  });

  it.each([
    ['has a key', EXECUTE.replace('code:', 'idempotencyKey: "k", code:'), true],
    ['is not accepted yet', EXECUTE, false],
  ])(
    'closes the connection of a call that %s: it can be sent again elsewhere',
    async (_what, call, isAccepted) => {
      const held = heldExecution(isAccepted);
      const { server, connect, query } = await startTransport(
        memoryService({ execute: held.execute }),
      );
      const answer = query(call);
      const connection = await connect();
      subscribe(connection, call, '1');
      await held.started;
      await query('{ __typename }');
      const isClosed = expect(connection.take()).rejects.toThrow('1012');
      const patience = new AbortController();
      const closed = server.close(patience.signal);
      patience.abort();
      await expect(answer).rejects.toThrow('fetch failed');
      await isClosed;
      await closed;
    },
  );

  it('never completes a stream that is not over: it closes with 1012', async () => {
    const stream = pulledStream<OutputItem>(() => null);
    const { server, connect, query } = await startTransport(
      memoryService({ followExecution: async () => stream }),
    );
    const connection = await connect();
    subscribe(connection, FOLLOW, '1');
    while (stream.pulls === 0) await query('{ __typename }');
    const next = connection.take();
    const isRejected = expect(next).rejects.toThrow('1012');
    await server.close();
    await isRejected;
    await stream.returned;
  });

  it('does not wait for server-sent streams, and is idempotent', async () => {
    const stream = pulledStream<OutputItem>(() => null);
    const { server, origin } = await startTransport(
      memoryService({ followExecution: async () => stream }),
    );
    const response = await fetch(`${origin}/graphql`, {
      method: 'POST',
      headers: {
        'Content-Type': 'application/json',
        Accept: 'text/event-stream',
        'X-Auth-Token': TOKEN,
      },
      body: JSON.stringify({ query: FOLLOW }),
    });
    const body = response.text();
    const isCutOff = expect(body).rejects.toThrow();
    await Promise.all([server.close(), server.close()]);
    await isCutOff;
    await stream.returned;
  });
});

describe('listening', () => {
  it('reports in one sentence which process uses the port', async () => {
    const other = createTcpServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const address = other.address();
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
    const server = createServer(serverDeps(memoryService(), { config: { port } }));
    await expect(server.listen()).rejects.toMatchObject({
      name: 'ListenError',
      message: expect.stringMatching(
        new RegExp(
          `^Port ${port} on 127\\.0\\.0\\.1 is in use by process ${process.pid} \\(.+\\)\\.`,
        ),
      ),
    });
    await server.close();
    other.close();
  });
});
