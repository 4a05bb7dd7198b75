/**
 * A thousand subscribers to one execution each get all of its output in bounded time and memory. A subscriber that
 * reads nothing is disconnected.
 */
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { startTestGateway, type TestGateway } from '../../testkit/gateway.ts';
import { execute, interrupt, printed, submit } from '../../testkit/interpreter.ts';
import { processMemory } from '../../testkit/processMemory.ts';

const SUBSCRIBERS = 1_000;
const LINES = 4_000;
const PRINTING_S = 10;
const SLOW_READER_TIMEOUT_MS = 3_000;

/** The required bounds. */
const LIMIT_MS = 60_000;
const MAX_MEMORY_GROWTH_MB = 150;
const MAX_LOOP_DELAY_S = 0.1;

const FOLLOW = `subscription ($id: ID!) { output(executionId: $id) {
  seq ... on StreamOutput { text } ... on ExecutionFinished { execution { status } } } }`;
const LONG = { timeoutMs: 120_000 };

const lineOf = (n: number) => `line ${n} ${'-'.repeat(30)}\n`;
const CODE = `import time
start = time.perf_counter()
for n in range(${LINES}):
    print(f'line {n} ${'-'.repeat(30)}')
    time.sleep(max(0, start + (n + 1) * ${PRINTING_S / LINES} - time.perf_counter()))`;
const ALL_TEXT = Array.from({ length: LINES }, (_, n) => lineOf(n)).join('');

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway({ SLOW_READER_TIMEOUT_MS: String(SLOW_READER_TIMEOUT_MS) });
});
afterAll(() => gateway.destroy());

describe.each([[10], [SUBSCRIBERS]])(
  `${SUBSCRIBERS} subscribers of ${LINES} lines in ${PRINTING_S} s, on %i sockets`,
  (sockets) => {
    it('all subscribers get all of the output, and one that reads nothing is cut', async () => {
      const user = `${sockets} sockets`;
      // The subscribers follow the execution before it begins, since earlier code of the user holds it up.
      const before = await submit(gateway, user, 'print()\nimport time\ntime.sleep(100)', LONG);
      await printed(gateway.socket(), before.id, 1);
      const { id } = await submit(gateway, user, CODE, LONG);

      const memoryBefore = processMemory(gateway.pid, 'VmRSS');
      resetPeakMemory();
      const perSocket = SUBSCRIBERS / sockets;
      const readers = await Promise.all(
        Array.from({ length: sockets }, () => openReader(id, perSocket)),
      );
      const idler = await openReader(id, 100);
      idler.socket.pause();
      await loopDelayP99();

      await interrupt(gateway, before.id);
      const outcomes = (await Promise.all(readers.map(({ outcomes }) => outcomes))).flat();
      const loopDelay = await loopDelayP99();
      const growth = processMemory(gateway.pid, 'VmHWM') - memoryBefore;
      const firstAt = Math.min(...outcomes.map(({ firstAt }) => firstAt));
      const lastAt = Math.max(...outcomes.map(({ lastAt }) => lastAt));
      const events = Math.max(...outcomes.map(({ events }) => events));
      console.info(
        `${sockets} sockets: last done ${Math.round(lastAt - firstAt)} ms after the first line, ${events} events each, memory +${growth.toFixed(0)} MB, loop delay p99 ${(loopDelay * 1_000).toFixed(0)} ms`,
      );
      expect(outcomes).toHaveLength(SUBSCRIBERS);
      expect(new Set(outcomes.map(({ hash }) => hash))).toEqual(new Set([hashOf(ALL_TEXT)]));
      expect(lastAt - firstAt).toBeLessThan(LIMIT_MS);
      expect(growth).toBeLessThan(MAX_MEMORY_GROWTH_MB);
      expect(loopDelay).toBeLessThan(MAX_LOOP_DELAY_S);

      // Either the gateway cut the connection (1006), since the idle client did not read the closing
      // frame, or the client reads this frame now (1013).
      idler.socket.resume();
      expect([1006, 1013]).toContain(await idler.closed);
      expect(await execute(gateway, user, '1')).toMatchObject({ status: 'OK' });
    });
  },
);

interface Outcome {
  readonly hash: string;
  readonly events: number;
  /** When the first line and the end came, by `performance.now()`. */
  readonly firstAt: number;
  readonly lastAt: number;
}

interface Reader {
  readonly socket: WebSocket;
  /** Resolves with one outcome per subscription, once all are completed. */
  readonly outcomes: Promise<Outcome[]>;
  readonly closed: Promise<number>;
}

/** Opens a socket with this many subscriptions to the execution's output. It keeps a hash of the text only. */
async function openReader(executionId: string, subscriptions: number): Promise<Reader> {
  const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/graphql`, [
    'graphql-transport-ws',
  ]);
  const send = (message: object) => socket.send(JSON.stringify(message));
  const closed = new Promise<number>((resolve) => socket.on('close', resolve));
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  const acknowledged = new Promise((resolve) => socket.once('message', resolve));
  send({ type: 'connection_init', payload: { 'X-Auth-Token': gateway.token } });
  await acknowledged;
  const outcomes = new Promise<Outcome[]>((resolve, reject) => {
    const streams = Array.from({ length: subscriptions }, createStream);
    const done: Outcome[] = [];
    socket.on('message', (data) => {
      const { id, type, payload } = JSON.parse(String(data));
      const stream = streams[Number(id)];
      if (type === 'next' && payload.data) stream?.take(payload.data.output);
      else if (type === 'complete' && stream) done.push(stream.outcome());
      else if (type !== 'ping') reject(new Error(`The stream said ${String(data)}`));
      if (done.length === subscriptions) resolve(done);
    });
    void closed.then((code) => reject(new Error(`Closed with ${code}`)));
  });
  // Nobody awaits the outcomes of a reader that is cut.
  outcomes.catch(() => undefined);
  for (let n = 0; n < subscriptions; n += 1)
    send({
      id: String(n),
      type: 'subscribe',
      payload: { query: FOLLOW, variables: { id: executionId } },
    });
  return { socket, outcomes, closed };
}

/** What one subscriber has so far. Any seq other than the next one spoils its hash. */
function createStream() {
  const hash = createHash('sha256');
  let seq = 0;
  let firstAt = 0;
  return {
    take(output: { seq: number; text?: string }) {
      if (output.seq !== seq + 1) hash.update(`a hole before ${output.seq}`);
      if (seq === 0) firstAt = performance.now();
      seq = output.seq;
      hash.update(output.text ?? '');
    },
    outcome: (): Outcome => ({
      hash: hash.digest('hex'),
      events: seq,
      firstAt,
      lastAt: performance.now(),
    }),
  };
}

/** The 99th percentile of the gateway's `monitorEventLoopDelay` since the last call, in seconds. */
async function loopDelayP99(): Promise<number> {
  const response = await fetch(`${gateway.url}/metrics`, {
    headers: { 'X-Auth-Token': gateway.token },
  });
  const found = /^cellhouse_event_loop_delay_p99_seconds (\S+)$/m.exec(await response.text());
  return Number(found?.[1]);
}

/** Resets VmHWM to the present resident size (proc(5), clear_refs). */
function resetPeakMemory(): void {
  writeFileSync(`/proc/${gateway.pid}/clear_refs`, '5');
}
