/**
 * Measures how fast output arrives: 10 MB as prints of 100 bytes, as one print and as 300 pictures, from sending the
 * request until all output and the end have arrived. The output goes through the agent and its channel, through the
 * whole gateway to a subscriber, or into the database. The baseline is the client of a stock ipykernel in the same
 * image. Missing output is an error. The bench also measures the delay from a print until a subscriber receives it.
 */

import { startAgent } from '../testkit/agentServer.ts';
import { startTestGateway, type TestGateway } from '../testkit/gateway.ts';
import { execute, follow, submit } from '../testkit/interpreter.ts';
import { createKernelRunner, type Ran } from '../testkit/kernelRunner.ts';
import { workerImage } from '../testkit/workerImage.ts';
import type { Bench, Comparison, Figure } from './suite/bench.ts';
import { percentile } from './suite/statistics.ts';
import { type Turns, takeTurns } from './suite/takeTurns.ts';
import { startStockKernel } from './support/stockKernel.ts';

/** Each turn keeps the machine busy for about a second. */
const TURNS = { samples: 8, warmUp: 2 };
const SHORT_TURNS = { samples: 3, warmUp: 1 };
const PRINTS = { samples: 300, warmUp: 20 };
const SHORT_PRINTS = { samples: 100, warmUp: 20 };
/**
 * Pauses between prints. After the long one, a print is the first after a silence. With the short one, prints are
 * stored, and so arrive, several at a time.
 */
const SILENCE_S = 0.1;
const STEADY_S = 0.03;
const LEAST_RATE_RATIO = 0.5;
const FIRST_BYTE_MS = 30;

export const streamBench: Bench = {
  name: 'stream',
  about: '10 MB of output to a subscriber, and until it is stored, beside a stock kernel',
  isInBareRun: true,
  run: async ({ isShort, say }) => {
    const gateway = await startPreparedGateway();
    const receivers: Receiver[] = [];
    try {
      const figures = await firstByteFigures(gateway, isShort ? SHORT_PRINTS : PRINTS);
      receivers.push(await startStockReceiver(), await startChannelReceiver());
      receivers.push(subscriber(gateway), store(gateway));
      const comparisons = await compareAll(receivers, isShort ? SHORT_TURNS : TURNS, say);
      return { comparisons, figures };
    } finally {
      for (const receiver of receivers.toReversed()) await receiver.close();
      await gateway.destroy();
    }
  },
};

async function compareAll(
  receivers: readonly Receiver[],
  turns: Turns,
  say: (line: string) => void,
): Promise<Comparison[]> {
  const comparisons: Comparison[] = [];
  for (const wanted of CASES) {
    say(wanted.name);
    const contenders = receivers.map(({ name, rate }) => ({ name, roundTrip: () => rate(wanted) }));
    const [base, ...others] = await takeTurns(contenders, turns);
    if (!base) throw new Error('There is nobody to compare with.');
    for (const measured of others) {
      const name = `10 MB ${wanted.name}, ${measured.name}`;
      comparisons.push({
        name,
        unit: 'MB/s',
        base,
        measured,
        target: { atLeast: LEAST_RATE_RATIO },
      });
    }
  }
  return comparisons;
}

async function firstByteFigures(gateway: TestGateway, prints: Turns): Promise<Figure[]> {
  const first = await firstByteMs(gateway, 'prints', { ...prints, pauseS: SILENCE_S });
  const steady = await firstByteMs(gateway, 'prints', { ...prints, pauseS: STEADY_S });
  return [50, 95, 99].flatMap((percent) => [
    {
      name: `from a print after a silence until a subscriber has it, p${percent}`,
      unit: 'ms',
      value: percentile(first, percent),
      target: { atMost: FIRST_BYTE_MS },
    },
    {
      name: `from each of many prints until a subscriber has it, p${percent}`,
      unit: 'ms',
      value: percentile(steady, percent),
    },
  ]);
}

// The kinds of output that are measured, 10 MB of each.

const MEGABYTES = 10;
const PICTURES = 300;

export interface StreamCase {
  readonly name: string;
  readonly code: string;
  /** The number of printed characters, or of shown pictures. */
  readonly expected: number;
  /** Further fields of the call, such as the language. @default none */
  readonly options?: Readonly<Record<string, unknown>>;
}

/**
 * Draws a picture once, which is then shown repeatedly. It is noise, because a PNG compresses anything else too well.
 * As base64 it has a three-hundredth of 10 MB.
 */
const PREPARATION = `import io
import numpy as np
import matplotlib.pyplot as plt
from IPython.display import Image, display
figure = plt.figure(figsize=(1.51, 1.51), dpi=72)
plt.imshow(np.random.default_rng(1).random((90, 90, 3)))
drawn = io.BytesIO()
figure.savefig(drawn, format="png")
plt.close(figure)
png = drawn.getvalue()`;

export const CASES: readonly StreamCase[] = [
  {
    name: 'as lines of 100 bytes',
    code: 'for _ in range(100_000): print("x" * 99)',
    expected: MEGABYTES * 1e6,
  },
  { name: 'as one print', code: 'print("x" * 9_999_999)', expected: MEGABYTES * 1e6 },
  {
    name: `as ${PICTURES} pictures`,
    code: `for _ in range(${PICTURES}): display(Image(png))`,
    expected: PICTURES,
  },
];

/** At least this many bytes must be stored for each kind of output. */
const LEAST_BYTES = 0.95 * MEGABYTES * 1e6;

/** @returns MB/s. @throws Error if output is missing */
export function rateOf(wanted: StreamCase, came: number, ms: number): number {
  if (came !== wanted.expected)
    throw new Error(`${wanted.name}: ${came} of ${wanted.expected} came.`);
  return MEGABYTES / (ms / 1_000);
}

// The receivers of output that are compared.

/** A receiver with its own session. */
export interface Receiver {
  readonly name: string;
  /**
   * Measures from sending the request until all output and the end have arrived. @returns MB/s.
   * @throws Error if output is missing
   */
  rate(wanted: StreamCase): Promise<number>;
  close(): Promise<void>;
}

/** The user whose sessions are measured. */
export const BENCH_USER = 'bench';
const TIMEOUT_MS = 60_000;
const FOLLOW = `subscription ($id: ID!) { output(executionId: $id) {
  __typename ... on StreamOutput { text } ... on RichOutput { data } } }`;

async function startStockReceiver(): Promise<Receiver> {
  const stock = await startStockKernel(workerImage());
  await stock.run(PREPARATION);
  return {
    name: "stock ipykernel's own client",
    rate: async (wanted) => {
      const { printed, ms } = await stock.run(wanted.code);
      return rateOf(wanted, printed, ms);
    },
    close: () => stock.close(),
  };
}

async function startChannelReceiver(): Promise<Receiver> {
  const agent = await startAgent();
  const runner = createKernelRunner(agent.address);
  await runner.run(PREPARATION);
  return {
    name: 'through the agent and its channel',
    rate: async (wanted) => {
      const startedAt = performance.now();
      const ran = await runner.run(wanted.code);
      return rateOf(wanted, amountOf(ran), performance.now() - startedAt);
    },
    close: async () => {
      await runner.close();
      await agent.close();
    },
  };
}

function amountOf({ outputs }: Ran): number {
  let amount = 0;
  for (const output of outputs) {
    if (output.kind === 'stream') amount += output.text.length;
    if (output.kind === 'display' && 'image/png' in output.data) amount += 1;
  }
  return amount;
}

async function startPreparedGateway(): Promise<TestGateway> {
  const gateway = await startTestGateway({ LOG_LEVEL: 'warn' });
  try {
    const { status, error } = await execute(gateway, BENCH_USER, PREPARATION);
    if (status !== 'OK') throw new Error(JSON.stringify(error));
    return gateway;
  } catch (error: unknown) {
    await gateway.destroy();
    throw error;
  }
}

/** A receiver that subscribes over an open WebSocket. */
export function subscriber(gateway: TestGateway): Receiver {
  const client = gateway.socket();
  return {
    name: 'to a subscriber of the gateway',
    rate: async (wanted) => {
      const startedAt = performance.now();
      const { id } = await submit(gateway, BENCH_USER, wanted.code, {
        timeoutMs: TIMEOUT_MS,
        ...wanted.options,
      });
      let amount = 0;
      const events = client.iterate<{ output: FollowedOutput }>({
        query: FOLLOW,
        variables: { id },
      });
      for await (const { data } of events) {
        amount += data?.output.text?.length ?? 0;
        if (data?.output.data?.['image/png']) amount += 1;
      }
      return rateOf(wanted, amount, performance.now() - startedAt);
    },
    close: async () => await client.dispose(),
  };
}

interface FollowedOutput {
  readonly text?: string;
  readonly data?: Readonly<Record<string, string>>;
}

const STORE = `mutation ($input: ExecuteInput!) { execute(input: $input) {
  status truncated outputBytes } }`;

interface Stored {
  readonly status: string;
  readonly truncated: boolean;
  readonly outputBytes: number;
}

/** A receiver that asks only for the end, so the answer comes when everything is committed. */
export function store(gateway: TestGateway): Receiver {
  return {
    name: 'until the gateway has stored it',
    rate: async (wanted) => {
      const startedAt = performance.now();
      const input = {
        userUuid: BENCH_USER,
        code: wanted.code,
        timeoutMs: TIMEOUT_MS,
        ...wanted.options,
      };
      const { data, errors } = await gateway.graphql<{ execute: Stored }>(STORE, {
        input,
      });
      const tookMs = performance.now() - startedAt;
      const stored = data?.execute;
      if (stored?.status !== 'OK' || stored.truncated || stored.outputBytes < LEAST_BYTES)
        throw new Error(JSON.stringify(errors ?? data));
      return rateOf(wanted, wanted.expected, tookMs);
    },
    close: async () => undefined,
  };
}

// Measures the delay from a print until a subscriber receives it. Both times are from this machine's clock.

const MS_PER_S = 1_000;

interface Prints {
  /** Pause between two prints. */
  readonly pauseS: number;
  readonly samples: number;
  readonly warmUp: number;
}

/** @returns the delay of each print in milliseconds, without the first few, which may be older than the subscription */
async function firstByteMs(
  gateway: TestGateway,
  userUuid: string,
  { pauseS, samples, warmUp }: Prints,
): Promise<number[]> {
  const code = `import time
for _ in range(${samples + warmUp}):
    time.sleep(${pauseS})
    print(time.time())`;
  const { id } = await submit(gateway, userUuid, code, { timeoutMs: TIMEOUT_MS });
  const outputs = await follow(gateway.socket(), id);
  // Read only now, because the two clocks drift apart.
  const epochMs = Date.now() - performance.now();
  const tookMs = outputs.flatMap(({ text, receivedAt }) => {
    const cameAt = epochMs + receivedAt;
    // A late print may arrive together with the next one.
    return (text ?? '')
      .trim()
      .split('\n')
      .filter(Boolean)
      .map((printedAt) => cameAt - Number(printedAt) * MS_PER_S);
  });
  if (tookMs.length !== samples + warmUp) throw new Error(`${tookMs.length} prints came.`);
  return tookMs.slice(warmUp);
}
