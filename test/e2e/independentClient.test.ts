/**
 * The independent client checks the suite's figures for `execute`. It runs, makes the stated number of calls, and
 * shares no code with the suite. Its figures are compared by hand, on an idle machine (bench/README.md).
 */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startTestGateway, type TestGateway } from '../../testkit/gateway.ts';
import { execute } from '../../testkit/interpreter.ts';
import { workerImage } from '../../testkit/workerImage.ts';

const CLIENT = new URL('../../bench/independentClient.mjs', import.meta.url).pathname;
const WARM_UP = 1_000;
const TURNS = 20;
/** The number of turns is fixed: they take 15 s on an idle machine, and longer on a busy one. */
const LIMIT_MS = 600_000;

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway({ LOG_LEVEL: 'warn' });
});
afterAll(() => gateway.destroy());

it('the independent client imports only modules of Node', () => {
  const imports = readFileSync(CLIENT, 'utf8').match(/from '[^']+'/g);
  expect(imports?.filter((name) => !name.startsWith("from 'node:"))).toEqual([]);
});

it(
  'the independent client calls in turns, and prints both medians and their ratio',
  async () => {
    const args = [CLIENT, gateway.url, 'independent', workerImage(), `${TURNS}`];
    const env = { ...process.env, AUTH_TOKEN: gateway.token };
    const { stdout } = await promisify(execFile)(process.execPath, args, { env });
    const [, stock, ours, ratio] = (
      /^stock ([\d.]+) ms, execute ([\d.]+) ms, ratio ([\d.]+)$/m.exec(stdout) ?? []
    ).map(Number);
    expect(ratio, stdout).toBeCloseTo(Number(ours) / Number(stock), 1);
    // `In` has the cells of the session, an empty one before the first, and this one.
    const { resultText } = await execute(gateway, 'independent', 'len(In) - 2');
    expect(resultText).toBe(`${WARM_UP + TURNS}`);
  },
  LIMIT_MS,
);
