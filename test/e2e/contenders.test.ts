/**
 * The programs that benches compare Cellhouse with work as described: they run code and keep state, and the
 * predecessor makes its workers under a lock, one at a time.
 */
import { afterEach, describe, expect, it } from 'vitest';
import { startPlainJupyterServer } from '../../bench/contenders/jupyterServer.ts';
import { type PredecessorKind, startPredecessor } from '../../bench/contenders/predecessor.ts';
import type { CodeRunner } from '../../bench/suite/takeTurns.ts';

/** The first run spends most of this time on building the image. */
const TIMEOUT_MS = 300_000;
/** A worker of the predecessor starts more slowly: it starts two Pythons and a kernel, one after the other. */
const LEAST_START_MS = 500;

const started: CodeRunner[] = [];
afterEach(async () => {
  for (const runner of started.splice(0)) await runner.close();
});

async function use<T extends CodeRunner>(starting: Promise<T>): Promise<T> {
  const runner = await starting;
  started.push(runner);
  return runner;
}

const predecessor = (kind: PredecessorKind) => () => startPredecessor({ kind, idleWorkers: 1 });
const STARTS: readonly (readonly [string, () => Promise<CodeRunner>])[] = [
  ["Debian's jupyter-server", startPlainJupyterServer],
  ['the predecessor as it was', predecessor('as it was')],
  ['the predecessor without its delay', predecessor('without delay')],
  ['the predecessor at its best', predecessor('at its best')],
];

describe.each(STARTS)('%s', (_name, start) => {
  it(
    'answers, keeps variables from call to call, and notices a wrong answer',
    async () => {
      const { roundTrip } = await use(start());
      expect(await roundTrip('x = 20; x', '20')).toBeGreaterThan(0);
      await roundTrip('x += 1; x', '21');
      await expect(roundTrip('x', '20')).rejects.toThrow('21');
      await expect(roundTrip('1 / 0', '20')).rejects.toThrow('division by zero');
      await roundTrip('x', '21');
    },
    TIMEOUT_MS,
  );
});

it(
  'the predecessor makes one worker after the other, and each user has their own',
  async () => {
    const runner = await use(startPredecessor({ kind: 'at its best', idleWorkers: 0 }));
    const [ann, bob] = [runner.roundTripOf('ann'), runner.roundTripOf('bob')];
    await Promise.all([ann("x = 'ann'; x", "'ann'"), bob("x = 'bob'; x", "'bob'")]);
    await Promise.all([ann('x', "'ann'"), bob('x', "'bob'")]);
    const [first, second, ...others] = await runner.workersCreatedAt();
    expect(others).toEqual([]);
    expect(Number(second) - Number(first)).toBeGreaterThan(LEAST_START_MS);
  },
  TIMEOUT_MS,
);
