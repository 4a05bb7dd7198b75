/**
 * Measures how fast output arrives: 10 MB as prints of 100 bytes, as one print and as 300 pictures, from sending the
 * request until all output and the end have arrived. It is measured through the agent and its channel, through the
 * whole gateway to a subscriber, and until it is stored. The baseline is the client of a stock ipykernel in the same
 * image. Missing output is an error. The bench also measures the delay from a print until a subscriber receives it.
 */
import type { TestGateway } from '../../testkit/gateway.ts';
import type { Bench, Comparison, Figure } from '../suite/bench.ts';
import { type Turns, takeTurns } from '../suite/takeTurns.ts';
import { percentile } from '../support/percentile.ts';
import { CASES } from './cases.ts';
import { firstByteMs } from './firstByte.ts';
import {
  type Receiver,
  startChannelReceiver,
  startPreparedGateway,
  startStockReceiver,
  store,
  subscriber,
} from './receivers.ts';

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
