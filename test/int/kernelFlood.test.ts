/**
 * Output that comes fast, or while no gateway is connected, is complete or has one gap that says how much is missing.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { socketAddress } from '../../src/runtime/docker/workerSocket.ts';
import { type AgentServer, startAgent } from '../../testkit/agentServer.ts';
import {
  createKernelRunner,
  type KernelRunner,
  type Ran,
  textOf,
} from '../../testkit/kernelRunner.ts';
import { type SocketRelay, startSocketRelay } from '../support/kernelContract.ts';

const PREPARE_TIMEOUT_MS = 120_000;
const SLOW = { timeout: 240_000 };
/** More than the slowest machine needs for a flood. */
const RUN_TIMEOUT_MS = 200_000;
/** How long the gateway is away. */
const AWAY_MS = 10_000;
/** The agent's default (docs/internals/worker-protocol.md). */
const REPLAY_BUFFER_BYTES = 33_554_432;
const MAX_MESSAGE_BYTES = 16_777_216;
/** The growth over the idle agent's memory that docs/internals/worker-protocol.md allows. */
const MAX_GROWTH_BY_TEXT_BYTES = 1.25 * REPLAY_BUFFER_BYTES + MAX_MESSAGE_BYTES;
const MAX_GROWTH_BYTES = 1.25 * REPLAY_BUFFER_BYTES + 14 * MAX_MESSAGE_BYTES;

let server: AgentServer;
let idleBytes: number;
let relay: SocketRelay;
let runner: KernelRunner;

beforeAll(async () => {
  server = await startAgent();
  relay = await startSocketRelay(server.socketPath);
  runner = createKernelRunner(socketAddress(relay.socketPath));
  await runner.run('pass');
  idleBytes = await server.agentBytes();
}, PREPARE_TIMEOUT_MS);
afterAll(async () => {
  await runner?.close();
  await relay?.close();
  await server?.close();
});

/** Runs code, and disconnects the gateway at the first output. */
async function runWhileAway(code: string): Promise<Ran> {
  const before = runner.recorded.messages.length;
  const hasOutput = () =>
    runner.recorded.messages.slice(before).some(({ type }) => type === 'output');
  const running = runner.run(code, { maxOutputBytes: 200_000_000, timeoutMs: RUN_TIMEOUT_MS });
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
    'more output than the agent may keep arrives as a complete beginning and one gap for the rest',
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
      // No part of this output affects the next execution.
      expect(textOf(await runner.run('print("next")'))).toBe('next\n');
    },
  );
});

it('the agent stayed within its documented memory during these floods', async () => {
  const grownBytes = (await server.agentPeakBytes()) - idleBytes;
  expect(grownBytes).toBeLessThan(MAX_GROWTH_BY_TEXT_BYTES);
  // The buffer was filled; otherwise the test would prove nothing.
  expect(grownBytes).toBeGreaterThan(REPLAY_BUFFER_BYTES / 2);
});

it.each([
  ['of accented letters', '"é" * 7_500_000', 'é'.repeat(7_500_000)],
  // Because of this character, Python stores each character of the text in four bytes.
  ['with one rare character', '"x" * 15_000_000 + "🐍"', `${'x'.repeat(15_000_000)}🐍`],
])(
  'a display of the largest size that a message may have arrives whole: text %s',
  SLOW,
  async (_name, python, text) => {
    const ran = await runner.run(`display({"text/plain": ${python}}, raw=True)`);
    expect(ran.outputs.map((o) => o.kind === 'display' && o.data['text/plain'] === text)).toEqual([
      true,
    ]);
  },
);

it('a message of the largest size costs the agent no more memory than documented', async () => {
  expect((await server.agentPeakBytes()) - idleBytes).toBeLessThan(MAX_GROWTH_BYTES);
});

describe('the last output before the end of the process', () => {
  it(
    'arrives if it was flushed, even if the process ends at the next instruction',
    SLOW,
    async () => {
      for (let turn = 0; turn < 20; turn += 1) {
        const ran = await runner.run(
          // Without a newline, which would flush the text.
          `import os\nprint("line ${turn}")\nprint("flushed ${turn}", end="", flush=True)\nos._exit(0)`,
        );
        expect(textOf(ran)).toBe(`line ${turn}\nflushed ${turn}`);
        expect(ran.outcome).toMatchObject({ errorName: 'KernelDied', exitCode: 0 });
      }
    },
  );

  it('arrives if it was flushed, even if it is long and the process is killed', SLOW, async () => {
    const ran = await runner.run(
      'import os, signal\nprint("x" * 5_000_000, flush=True)\nos.kill(os.getpid(), signal.SIGKILL)',
    );
    expect(textOf(ran).length).toBe(5_000_001);
    expect(ran.outcome).toMatchObject({ errorName: 'KernelDied', exitCode: -9 });
  });
});

/** Whether the first line reached the agent before the code after it had ended, by the machine's clock. */
async function isThereFirst(after: string): Promise<boolean> {
  const before = runner.recorded.messages.length;
  const ran = await runner.run(`import time\nprint("on")\n${after}\nprint(time.time())`);
  const first = runner.recorded.messages.slice(before).find(({ type }) => type === 'output');
  if (first?.type !== 'output') throw new Error('No line came.');
  return first.at < Number(textOf(ran).split('\n')[1]) * 1_000;
}

describe('a first line', () => {
  const TURNS = 15;

  it.each([
    ['sleeps', 'time.sleep(0.2)'],
    ['computes in Python', 'end = time.time() + 0.2\nwhile time.time() < end: pass'],
    ['computes in C and lets nobody else run', 'sum(range(20_000_000))'],
  ])('is sent at once while the code %s', SLOW, async (_name, after) => {
    let times = 0;
    for (let turn = 0; turn < TURNS; turn += 1) times += Number(await isThereFirst(after));
    // Now and then the agent, too, may have to wait for a CPU.
    expect(times).toBeGreaterThan(TURNS / 2);
  });
});
