/** How an answer of the E2B door's `/execute` ends, over real HTTP, for each way in which the code may end. */
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import { expect, it, onTestFinished } from 'vitest';
import { DomainError } from '../../src/domain/errors.ts';
import type { Execution } from '../../src/domain/execution.ts';
import { execute } from '../../src/doors/e2b/interpreter/execute.ts';
import type { SandboxCall } from '../../src/doors/e2b/sandbox.ts';
import type { OwnNews } from '../../src/service/execute/execute.ts';
import { until } from '../../testkit/until.ts';
import { executionRow } from '../support/memoryService.ts';

interface World {
  /** @param left aborted when nobody listens any more */
  readonly news: (left: AbortSignal) => AsyncIterable<OwnNews>;
  readonly hasSessionEnded: boolean;
  /** The creation of a context waits for it. */
  readonly context?: Promise<unknown>;
}

/** Serves one call. `interrupted` has the ids of interrupted executions, and `failed` the errors of the door. */
async function serve({ news, hasSessionEnded, context }: World) {
  const interrupted: string[] = [];
  const failed: unknown[] = [];
  const execution = executionRow();
  const over = { isLeft: false, isAsked: false, isClosed: false, accepted: 0 };
  const server = createServer((_req, res) => {
    const gone = new AbortController();
    res.once('close', () => {
      over.isClosed = true;
      if (!res.writableFinished) gone.abort();
    });
    const service = {
      createContext: async () => {
        over.isAsked = true;
        await context;
        return { id: 'bash' };
      },
      executeFollowed: async (_request: unknown, left: AbortSignal) => {
        over.accepted += 1;
        left.addEventListener('abort', () => {
          over.isLeft = true;
        });
        return { execution, news: news(left) };
      },
      interrupt: async (id: string) => void interrupted.push(id),
    };
    const code = JSON.stringify({ code: '1', ...(context && { language: 'bash' }) });
    execute(sandboxCall({ res, gone: gone.signal, service, hasSessionEnded, code }), deps).catch(
      (error: unknown) => {
        failed.push(error);
        res.destroy();
      },
    );
  });
  server.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const ask = (signal?: AbortSignal) =>
    fetch(`http://127.0.0.1:${port}`, { method: 'POST', ...(signal && { signal }) });
  return { ask, execution, interrupted, failed, over };
}

const deps = { logger: pino({ level: 'silent' }) } as never;

interface Given {
  readonly res: ServerResponse;
  readonly gone: AbortSignal;
  readonly service: object;
  readonly hasSessionEnded: boolean;
  readonly code: string;
}

function sandboxCall({ res, gone, service, hasSessionEnded, code }: Given): SandboxCall {
  return {
    call: { res, gone, service, readBody: async () => code },
    userUuid: 'ann',
    session: { id: 'session' },
    hasEnded: async () => hasSessionEnded,
    onStream: () => {},
  } as never;
}

async function* newsOf(...news: readonly OwnNews[]): AsyncGenerator<OwnNews> {
  yield* news;
}

const begun: OwnNews = { type: 'begun', execution: executionRow({ status: 'RUNNING' }) };
const ended = (status: Execution['status']): OwnNews => ({
  type: 'ended',
  execution: executionRow({ status }),
});

it.each(['CANCELLED', 'INTERRUPTED', 'WORKER_LOST'] as const)(
  'If code ends as %s because its sandbox has ended, the connection breaks off without an end of the answer',
  async (status) => {
    const world = await serve({ news: () => newsOf(begun, ended(status)), hasSessionEnded: true });
    await expect(world.ask().then((answer) => answer.text())).rejects.toThrow();
    expect(world.interrupted).toEqual([]);
    expect(world.over.isLeft).toBe(true);
  },
);

it.each([
  ['OK', true, ['number_of_executions', 'end_of_execution']],
  ['CANCELLED', false, ['number_of_executions', 'error', 'end_of_execution']],
  ['INTERRUPTED', false, ['number_of_executions', 'error', 'end_of_execution']],
] as const)(
  'The answer has its end if code ends as %s, and its sandbox goes on or the code was OK',
  async (status, gone, types) => {
    const world = await serve({ news: () => newsOf(begun, ended(status)), hasSessionEnded: gone });
    const lines = (await (await world.ask()).text()).trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line).type)).toEqual(types);
    expect(world.interrupted).toEqual([]);
  },
);

it('Code whose output cannot be read any more goes on, and the connection breaks off', async () => {
  async function* failing(): AsyncGenerator<OwnNews> {
    yield begun;
    throw new DomainError('DATABASE_UNAVAILABLE', 'Away.');
  }
  const world = await serve({ news: failing, hasSessionEnded: false });
  await expect(world.ask().then((answer) => answer.text())).rejects.toThrow();
  expect(world.failed).toMatchObject([{ code: 'DATABASE_UNAVAILABLE' }]);
  expect(world.interrupted).toEqual([]);
});

/** Code that runs until nobody listens. */
async function* running(left: AbortSignal): AsyncGenerator<OwnNews> {
  yield begun;
  await new Promise((resolve) => left.addEventListener('abort', resolve));
}

it.each([
  [false, 1],
  [true, 0],
] as const)(
  'A client that goes away interrupts its code, unless the sandbox has ended (%s)',
  async (hasSessionEnded, count) => {
    const client = new AbortController();
    const world = await serve({ news: running, hasSessionEnded });
    const answer = await world.ask(client.signal);
    await answer.body?.getReader().read();
    client.abort();
    await until('the client has left', async () => world.over.isLeft);
    await new Promise((resolve) => setImmediate(resolve));
    expect(world.interrupted).toEqual(Array(count).fill(world.execution.id));
    expect(world.failed).toEqual([]);
  },
);

it('Code never begins if its client leaves while its context is made', async () => {
  let made = () => {};
  const context = new Promise<void>((resolve) => {
    made = resolve;
  });
  const world = await serve({ news: running, hasSessionEnded: false, context });
  const client = new AbortController();
  const asked = expect(world.ask(client.signal)).rejects.toThrow();
  await until('the call', async () => world.over.isAsked);
  client.abort();
  await asked;
  await until('the closed connection', async () => world.over.isClosed);
  made();
  await new Promise((resolve) => setImmediate(resolve));
  expect(world.over.accepted).toBe(0);
  expect(world.failed).toEqual([]);
});
