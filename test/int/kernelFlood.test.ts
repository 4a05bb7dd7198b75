/** Output that comes fast, or while nobody is there to take it: whole, or with one gap that says what is missing. */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  createKernelRunner,
  type KernelRunner,
  type Ran,
  textOf,
} from '../../testkit/kernelRunner.ts';
import { type AgentServer, startAgent } from '../../testkit/kernelServers.ts';
import { type SocketRelay, startSocketRelay } from '../support/socketRelay.ts';

const PREPARE_TIMEOUT_MS = 120_000;
const SLOW = { timeout: 120_000 };
/** As long as the issue says: how long the gateway is away is what is tested. */
const AWAY_MS = 10_000;
/** Of an agent by default (docs/worker-protocol.md). */
const REPLAY_BUFFER_BYTES = 33_554_432;
const MAX_MESSAGE_BYTES = 16_777_216;
/** What docs/worker-protocol.md states of the agent's memory, beside what it has when idle. */
const MAX_GROWTH_BY_TEXT_BYTES = 1.25 * REPLAY_BUFFER_BYTES + MAX_MESSAGE_BYTES;
const MAX_GROWTH_BYTES = 1.25 * REPLAY_BUFFER_BYTES + 14 * MAX_MESSAGE_BYTES;

let server: AgentServer;
let idleBytes: number;
let relay: SocketRelay;
let runner: KernelRunner;

beforeAll(async () => {
  server = await startAgent();
  relay = await startSocketRelay(server.socketPath);
  runner = createKernelRunner(server.targetAt(relay.socketPath));
  await runner.run('pass');
  idleBytes = await server.agentBytes();
}, PREPARE_TIMEOUT_MS);
afterAll(async () => {
  await runner?.close();
  await relay?.close();
  await server?.close();
});

/** Runs code whose gateway goes away with the first output. */
async function runWhileAway(code: string): Promise<Ran> {
  const before = runner.recorded.messages.length;
  const hasOutput = () =>
    runner.recorded.messages.slice(before).some(({ type }) => type === 'output');
  const running = runner.run(code, { maxOutputBytes: 200_000_000 });
  await runner.recorded.until(hasOutput);
  relay.setAway(true);
  await delay(AWAY_MS);
  relay.setAway(false);
  return await running;
}

describe('with the gateway away for 10 s in the middle', () => {
  it('200,000 lines arrive whole', SLOW, async () => {
    const { connections } = runner.recorded.counts;
    const ran = await runWhileAway(
      'import time\nfor i in range(200_000):\n print(f"{i:08}", "x" * 91)\n if i % 2_000 == 0: time.sleep(0.02)',
    );
    const lines = textOf(ran).split('\n');
    expect(lines.length).toBe(200_001);
    expect(lines.findIndex((line, i) => i < 200_000 && Number(line.slice(0, 8)) !== i)).toBe(-1);
    expect(ran.outcome).toMatchObject({ status: 'OK', truncated: false, outputBytes: 20_200_000 });
    expect(runner.recorded.counts.connections).toBe(connections + 1);
  });

  it('20 MB in one print arrive whole', SLOW, async () => {
    const code =
      'import time\nprint("first", flush=True)\ntime.sleep(1)\nprint("0123456789" * 2_000_000)';
    const ran = await runWhileAway(code);
    expect(textOf(ran) === `first\n${'0123456789'.repeat(2_000_000)}\n`).toBe(true);
    expect(ran.outcome).toMatchObject({ status: 'OK', truncated: false });
  });

  it(
    'more than the agent may keep leaves a head that is whole, and one gap with the rest',
    SLOW,
    async () => {
      const size = 101;
      const count = 700_000;
      const ran = await runWhileAway(
        `import time\nprint("first", flush=True)\ntime.sleep(1)\nfor i in range(${count}): print(f"{i:08}", "x" * 91)`,
      );
      const gaps = ran.outputs.filter((output) => output.kind === 'gap');
      expect(gaps).toMatchObject([{ reason: 'replay_overflow' }]);
      const head = textOf(ran).slice('first\n'.length);
      const lines = head.split('\n').slice(0, -1);
      expect(lines.findIndex((line, i) => Number(line.slice(0, 8)) !== i)).toBe(-1);
      const produced = 'first\n'.length + count * size;
      expect(ran.outcome).toMatchObject({ status: 'OK', truncated: true, outputBytes: produced });
      const dropped = gaps.map((gap) => (gap.kind === 'gap' ? gap.droppedBytes : 0));
      expect(textOf(ran).length + (dropped[0] ?? 0)).toBe(produced);
      expect(head.length).toBeGreaterThan(REPLAY_BUFFER_BYTES / 2);
      // Nothing of it is left for the next.
      expect(textOf(await runner.run('print("next")'))).toBe('next\n');
    },
  );
});

it('all the while the agent stays within its memory', async () => {
  const grownBytes = (await server.agentPeakBytes()) - idleBytes;
  expect(grownBytes).toBeLessThan(MAX_GROWTH_BY_TEXT_BYTES);
  // It was filled, or this would say nothing.
  expect(grownBytes).toBeGreaterThan(REPLAY_BUFFER_BYTES / 2);
});

it.each([
  ['in any letters', '"é" * 7_500_000', 'é'.repeat(7_500_000)],
  // Python then keeps four bytes for each character.
  ['with one rare character', '"x" * 15_000_000 + "🐍"', `${'x'.repeat(15_000_000)}🐍`],
])(
  'a display as large as a message may be arrives whole: text %s',
  SLOW,
  async (_name, python, text) => {
    const ran = await runner.run(`display({"text/plain": ${python}}, raw=True)`);
    expect(ran.outputs.map((o) => o.kind === 'display' && o.data['text/plain'] === text)).toEqual([
      true,
    ]);
  },
);

it('a message as large as may be costs no more than it is said to', async () => {
  expect((await server.agentPeakBytes()) - idleBytes).toBeLessThan(MAX_GROWTH_BYTES);
});

describe('the last words', () => {
  it('that were flushed arrive though the process ends at the next instruction', SLOW, async () => {
    for (let turn = 0; turn < 20; turn += 1) {
      const ran = await runner.run(
        // Without a line's end, which would make it leave by itself.
        `import os\nprint("line ${turn}")\nprint("flushed ${turn}", end="", flush=True)\nos._exit(0)`,
      );
      expect(textOf(ran)).toBe(`line ${turn}\nflushed ${turn}`);
      expect(ran.outcome).toMatchObject({ errorName: 'KernelDied', exitCode: 0 });
    }
  });

  it('do, however long they are, and by whatever it ends', SLOW, async () => {
    const ran = await runner.run(
      'import os, signal\nprint("x" * 5_000_000, flush=True)\nos.kill(os.getpid(), signal.SIGKILL)',
    );
    expect(textOf(ran).length).toBe(5_000_001);
    expect(ran.outcome).toMatchObject({ errorName: 'KernelDied', exitCode: -9 });
  });
});

/** How long after it was printed a first line was in the agent, in ms, by the machine's clock. */
async function firstLineMs(after: string): Promise<number> {
  const before = runner.recorded.messages.length;
  await runner.run(`import time\nprint(time.time())\n${after}`);
  const first = runner.recorded.messages.slice(before).find(({ type }) => type === 'output');
  if (first?.type !== 'output' || first.output?.kind !== 'stream') throw new Error('No line came.');
  return first.at - Number(first.output.text) * 1_000;
}

describe('a first line', () => {
  /** What is promised is 10 ms; others keep this machine busy. */
  const GENEROUS_MS = 50;

  it.each([
    ['sleeps', 'time.sleep(0.2)'],
    ['computes in Python', 'end = time.time() + 0.2\nwhile time.time() < end: pass'],
    ['computes in C and lets nobody else run', 'sum(range(20_000_000))'],
  ])('leaves at once while the code %s', SLOW, async (_name, after) => {
    const samples: number[] = [];
    for (let turn = 0; turn < 15; turn += 1) samples.push(await firstLineMs(after));
    const median = samples.sort((one, other) => one - other)[7] ?? Number.NaN;
    expect(median).toBeLessThan(GENEROUS_MS);
  });
});
