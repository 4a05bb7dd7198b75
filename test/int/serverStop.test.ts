import { once } from 'node:events';
import { createServer as createTcpServer } from 'node:net';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import type { OutputItem } from '../../src/events/eventStore.ts';
import type { Execution } from '../../src/events/states.ts';
import { createMessageCounts } from '../../src/kernel/messageCounts.ts';
import { createServer } from '../../src/server/createServer.ts';
import { executionRow, memoryService } from '../support/memoryService.ts';
import { pulledStream } from '../support/pulledStream.ts';
import { type Connection, startTransport, TOKEN } from '../support/transportServer.ts';

const EXECUTE = 'mutation { execute(input: { userUuid: "x", code: "1" }) { status } }';
const FOLLOW = 'subscription { output(executionId: "x") { seq } }';

/** A service whose one execution ends when the test says so. */
function heldExecution() {
  let finish: () => void = () => undefined;
  let announce: () => void = () => undefined;
  const started = new Promise<void>((resolve) => {
    announce = resolve;
  });
  const execution = new Promise<Execution>((resolve) => {
    finish = () => resolve(executionRow());
  });
  const execute = () => {
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

  it('takes no new operation meanwhile', async () => {
    const held = heldExecution();
    const { server, connect, query, origin } = await startTransport(
      memoryService({ execute: held.execute }),
    );
    const connection = await connect();
    const answer = query(EXECUTE);
    await held.started;
    const closed = server.close();
    subscribe(connection, '{ __typename }', '2');
    const refused = await connection.take();
    expect(refused.type).toBe('error');
    expect(JSON.stringify(refused)).toContain('"code":"SHUTTING_DOWN"');
    const socket = new WebSocket(origin.replace('http', 'ws'));
    await once(socket, 'error');
    held.finish();
    await Promise.all([answer, closed]);
  });

  it('answers SHUTTING_DOWN to a call it will not wait for', async () => {
    const held = heldExecution();
    const { server, query } = await startTransport(memoryService({ execute: held.execute }));
    const answer = query(EXECUTE);
    await held.started;
    const patience = new AbortController();
    const closed = server.close(patience.signal);
    patience.abort();
    await closed;
    expect((await answer).errors).toMatchObject([{ extensions: { code: 'SHUTTING_DOWN' } }]);
  });

  it('never completes a stream that is not over: it closes with 1012', async () => {
    const stream = pulledStream<OutputItem>(() => null);
    const { server, connect, query } = await startTransport(
      memoryService({ followOutput: async () => stream }),
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
      memoryService({ followOutput: async () => stream }),
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
  it('says in one sentence who uses the port', async () => {
    const other = createTcpServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const address = other.address();
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
    const server = createServer({
      config: { host: '127.0.0.1', port, maxBodyBytes: 1_024, maxResponseBytes: 1_024 },
      service: memoryService(),
      token: TOKEN,
      readiness: async () => ({ status: 'ready', reasons: [] }),
      endedExecutions: () => new Map(),
      messageCounts: createMessageCounts,
      logger: pino({ level: 'silent' }),
    });
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
