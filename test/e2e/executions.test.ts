/** How interrupts, releases and clients that go away end executions, or do not. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestGateway, type TestGateway } from '../../testkit/gateway.ts';
import {
  execute,
  executeBatch,
  follow,
  interrupt,
  printed,
  release,
  submit,
} from '../../testkit/interpreter.ts';
import { until } from '../../testkit/until.ts';
import { parsePrometheus } from '../support/prometheusText.ts';

const LONG = { timeoutMs: 60_000 };
const SLEEP = 'print("on")\nimport time\ntime.sleep(50)';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway({ MIN_IDLE_WORKERS: '0' });
});
afterAll(() => gateway.destroy());

async function executionOf(id: string) {
  const { data } = await gateway.graphql<{
    execution: { status: string; stdout: string; outputs: readonly { seq: number }[] };
  }>('query ($id: ID!) { execution(id: $id) { status stdout outputs { seq } } }', { id });
  return data?.execution;
}

/** The types of the events recorded for an execution after its acceptance. */
async function eventsOf(id: string): Promise<string[]> {
  const { data, errors } = await gateway.graphql<{
    events: { edges: { node: { type: string; correlationId: string } }[] };
  }>(`{ events(first: 100, types: [InterruptRequested, ExecutionStarted, ExecutionFinished]) {
    edges { node { type correlationId } } } }`);
  if (!data) throw new Error(JSON.stringify(errors));
  const nodes = data.events.edges.map(({ node }) => node);
  return nodes.filter(({ correlationId }) => correlationId === id).map(({ type }) => type);
}

describe('interrupt', () => {
  it('answers INTERRUPTED, however often and by however many callers it is requested', async () => {
    const { id } = await submit(gateway, 'ann', SLEEP, LONG);
    await printed(gateway.socket(), id, 1);
    const asked = Array.from({ length: 5 }, () => interrupt(gateway, id));
    expect(await Promise.all(asked)).toEqual(asked.map(() => 'INTERRUPTED'));
    expect(await executionOf(id)).toMatchObject({ status: 'INTERRUPTED', stdout: 'on\n' });
    const events = await eventsOf(id);
    expect(await interrupt(gateway, id)).toBe('INTERRUPTED');
    expect(await eventsOf(id)).toEqual(events);
    expect(events.filter((type) => type === 'ExecutionFinished')).toHaveLength(1);
  });

  it('changes and records nothing if the execution has ended by itself', async () => {
    const ended = await execute(gateway, 'ann', 'n = 1\nprint(n)');
    const failed = await execute(gateway, 'ann', '1 / 0');
    expect(await interrupt(gateway, ended.id)).toBe('OK');
    expect(await interrupt(gateway, failed.id)).toBe('ERROR');
    expect(await eventsOf(ended.id)).toEqual(['ExecutionStarted', 'ExecutionFinished']);
    expect((await execute(gateway, 'ann', 'n')).resultText).toBe('1');
  });

  it('of queued code answers CANCELLED, and the code before and behind it runs in order', async () => {
    await execute(gateway, 'ann', 'order = []');
    const first = await submit(gateway, 'ann', `order.append(1)\n${SLEEP}`, LONG);
    const codes = ['order.append(2)', 'order.append(3)', 'order.append(4)'];
    const queued = [];
    for (const code of codes) queued.push(await submit(gateway, 'ann', code));
    await printed(gateway.socket(), first.id, 1);
    const cancelled = queued[1]?.id ?? '';
    expect(await interrupt(gateway, cancelled)).toBe('CANCELLED');
    expect(await interrupt(gateway, cancelled)).toBe('CANCELLED');
    expect(await executionOf(cancelled)).toMatchObject({ stdout: '', outputs: [] });
    expect(await interrupt(gateway, first.id)).toBe('INTERRUPTED');
    expect((await execute(gateway, 'ann', 'order')).resultText).toBe('[1, 2, 4]');
  });
});

describe('release while code runs', () => {
  it('ends running and queued code as CANCELLED, and keeps the output', async () => {
    const running = await submit(gateway, 'bob', `for i in range(1000): print(i)\n${SLEEP}`, LONG);
    const queued = await submit(gateway, 'bob', 'print("never")');
    await printed(gateway.socket(), running.id, 1_001);
    const following = [running, queued].map(({ id }) => follow(gateway.socket(), id));
    expect(await release(gateway, 'bob')).toBe(true);
    for (const outputs of await Promise.all(following)) {
      expect(outputs.at(-1)).toMatchObject({ execution: { status: 'CANCELLED' } });
      expect(outputs.map(({ seq }) => seq)).toEqual(outputs.map((_, index) => index + 1));
    }
    const lines = Array.from({ length: 1_000 }, (_, index) => `${index}\n`).join('');
    expect(await executionOf(running.id)).toMatchObject({ stdout: `${lines}on\n` });
    expect(await executionOf(queued.id)).toMatchObject({ status: 'CANCELLED', stdout: '' });
    expect(await interrupt(gateway, running.id)).toBe('CANCELLED');
  });
});

describe('executeBatch', () => {
  const cells = ['n = 1\nn', 'n += 1\n1 / 0', 'n += 1\nn'].map((code) => ({ code }));

  it('runs cells in order, each with its own outcome, up to the first that fails', async () => {
    const done = await executeBatch(gateway, 'eve', cells);
    expect(done.map(({ status }) => status)).toEqual(['OK', 'ERROR']);
    expect(done.map(({ resultText }) => resultText)).toEqual(['1', null]);
    expect((await execute(gateway, 'eve', 'n')).resultText).toBe('2');
  });

  it('runs all cells if stopOnError is false', async () => {
    const done = await executeBatch(gateway, 'eve', cells, { stopOnError: false });
    expect(done.map(({ status }) => status)).toEqual(['OK', 'ERROR', 'OK']);
    expect(done.map(({ resultText }) => resultText)).toEqual(['1', null, '3']);
  });

  it('ends with a cell that takes too long', async () => {
    const slow = [{ code: 'while True: pass', timeoutMs: 300 }, { code: 'n = "never"' }];
    const done = await executeBatch(gateway, 'eve', slow);
    expect(done.map(({ status }) => status)).toEqual(['TIMEOUT']);
  });
});

describe('a client that goes away', () => {
  const QUERY = 'mutation ($input: ExecuteInput!) { execute(input: $input) { status } }';
  const CODE = 'import time\nprint("on")\ntime.sleep(1)\nprint("off")';

  /** Sends a call. @returns a function that disconnects without waiting for the answer */
  type Call = (variables: { readonly input: object }) => () => Promise<void>;
  const overHttp: Call = (variables) => {
    const client = new AbortController();
    const answer = fetch(`${gateway.url}/graphql`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'X-Auth-Token': gateway.token },
      body: JSON.stringify({ query: QUERY, variables }),
      signal: client.signal,
    });
    const gone = expect(answer).rejects.toThrow();
    return () => {
      client.abort();
      return gone;
    };
  };
  const overWebSocket: Call = (variables) => {
    const client = gateway.socket();
    const gone = new Promise<void>((resolve, reject) => {
      const answered = () => reject(new Error('It was answered.'));
      client.subscribe(
        { query: QUERY, variables },
        { next: answered, complete: answered, error: () => resolve() },
      );
    });
    return () => {
      client.terminate();
      return gone;
    };
  };

  it.each([
    ['HTTP', overHttp],
    ['WebSocket', overWebSocket],
  ])('over %s does not end the execution that it started or followed', async (user, call) => {
    const leave = call({ input: { userUuid: user, code: CODE } });
    const id = await until(`an execution of ${user} that runs`, async () => {
      const { data } = await gateway.graphql<{ executions: { edges: { node: { id: string } }[] } }>(
        `query ($user: String!) { executions(userUuid: $user, statuses: [RUNNING], first: 1) {
          edges { node { id } } } }`,
        { user },
      );
      return data?.executions.edges[0]?.node.id;
    });
    const follower = gateway.socket();
    await printed(follower, id, 1);
    follower.terminate();
    await leave();
    const outputs = await follow(gateway.socket(), id);
    expect(outputs.at(-1)).toMatchObject({ execution: { status: 'OK' } });
    expect(await executionOf(id)).toMatchObject({ status: 'OK', stdout: 'on\noff\n' });
  });
});

describe('/metrics', () => {
  async function value(name: string): Promise<number> {
    const headers = { 'X-Auth-Token': gateway.token };
    const text = await (await fetch(`${gateway.url}/metrics`, { headers })).text();
    const samples = [...parsePrometheus(text).values()].flatMap((family) => family.samples);
    return samples.find((sample) => sample.name === name)?.value ?? Number.NaN;
  }

  it('counts an execution with its times, and has metrics of the process', async () => {
    const ended = () => value('cellhouse_execution_run_seconds_count');
    const seconds = () => value('cellhouse_execution_run_seconds_sum');
    const [endedBefore, secondsBefore] = [await ended(), await seconds()];
    const { id } = await execute(gateway, 'ann', 'import time\ntime.sleep(0.5)');
    const { data } = await gateway.graphql<{ execution: { durationMs: number } }>(
      'query ($id: ID!) { execution(id: $id) { durationMs } }',
      { id },
    );
    expect((await ended()) - endedBefore).toBe(1);
    const durationMs = data?.execution.durationMs ?? Number.NaN;
    expect((await seconds()) - secondsBefore).toBeCloseTo(durationMs / 1_000, 6);
    expect(await value('process_open_fds')).toBeGreaterThan(10);
    expect(await value('nodejs_heap_size_used_bytes')).toBeGreaterThan(1e6);
  });
});
