/**
 * Measures commands through the gateway: `true`, from the call to its recorded end, beside `docker exec` of `true` in the
 * same worker; and 10 MB of output, beside `docker exec` of the same.
 *
 * `npm run bench -- commands [--samples N] [--floods N]`
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { startTestGateway, type TestGateway } from '../testkit/gateway.ts';
import { containerOf, execute } from '../testkit/interpreter.ts';
import { BENCH_USER, type Receiver, rateOf, type StreamCase, store, subscriber } from './stream.ts';
import type { Bench, Comparison } from './suite/bench.ts';
import { takeTurns } from './suite/takeTurns.ts';
import { keptConnection } from './support/httpExecute.ts';

/** Calls before the turns: as many as a gateway needs until V8 has compiled its hot functions, as in `execute`. */
const WARMING_CALLS = 1_000;
const SHORT_WARMING_CALLS = 300;
const WARM_UP = 20;
/** Each turn takes up to a second. */
const FLOOD_WARM_UP = 2;
/** A command must take at most this part of the time of `docker exec`. */
const TARGET = { atMost: 0.2 } as const;
const FLOODS: readonly StreamCase[] = [
  { name: 'without a newline', code: "head -c 10000000 /dev/zero | tr '\\0' x" },
  { name: 'as lines of 100 bytes', code: `yes ${'x'.repeat(99)} | head -c 10000000` },
].map((flood) => ({ ...flood, expected: 10_000_000, options: { language: 'BASH' } }));

export const commandsBench: Bench = {
  name: 'commands',
  about: '`true` and 10 MB of output of a shell command, beside docker exec in the same worker',
  isInBareRun: true,
  run: async ({ isShort, args, say }) => {
    const { values } = parseArgs({
      args: [...args],
      options: {
        samples: { type: 'string', default: isShort ? '30' : '200' },
        floods: { type: 'string', default: isShort ? '3' : '10' },
      },
    });
    const gateway = await startTestGateway({ LOG_LEVEL: 'warn', MIN_IDLE_WORKERS: '1' });
    const receivers: Receiver[] = [];
    try {
      await execute(gateway, BENCH_USER, '1');
      const container = await containerOf(gateway, BENCH_USER);
      const command = commandOverHttp(gateway, 'true');
      const calls = isShort ? SHORT_WARMING_CALLS : WARMING_CALLS;
      for (let call = 0; call < calls; call += 1) await command();
      const comparisons = [await compareTrue(command, container, Number(values.samples))];
      receivers.push(dockerExec(container), subscriber(gateway), store(gateway));
      for (const flood of Number(values.floods) > 0 ? FLOODS : []) {
        say(flood.name);
        comparisons.push(...(await compareFlood(flood, receivers, Number(values.floods))));
      }
      return { comparisons, figures: [] };
    } finally {
      for (const receiver of receivers) await receiver.close();
      await gateway.destroy();
    }
  },
};

async function compareTrue(
  command: () => Promise<number>,
  container: string,
  samples: number,
): Promise<Comparison> {
  const [base, measured] = await takeTurns(
    [
      { name: 'docker exec', roundTrip: () => execTime(container, ['true']) },
      { name: 'execute over HTTP, durable', roundTrip: command },
    ],
    { samples, warmUp: WARM_UP },
  );
  return { name: 'true', unit: 'ms', base, measured, target: TARGET };
}

async function compareFlood(
  flood: StreamCase,
  receivers: readonly Receiver[],
  samples: number,
): Promise<Comparison[]> {
  const contenders = receivers.map(({ name, rate }) => ({ name, roundTrip: () => rate(flood) }));
  const turns = { samples, warmUp: FLOOD_WARM_UP };
  const [base, ...others] = await takeTurns(contenders, turns);
  if (!base) throw new Error('There is nobody to compare with.');
  return others.map((measured) => ({
    name: `10 MB ${flood.name}, ${measured.name}`,
    unit: 'MB/s',
    base,
    measured,
  }));
}

const QUERY =
  'mutation ($input: ExecuteInput!) { execute(input: $input) { status exitCode stdout } }';

/** Over a kept connection. The measured time ends when the answer has been read. */
function commandOverHttp({ url, token }: TestGateway, code: string): () => Promise<number> {
  const connection = keptConnection(url, token);
  const input = { userUuid: BENCH_USER, code, language: 'BASH' };
  return async () => {
    const startedAt = performance.now();
    const answer = await connection.post('/graphql', { query: QUERY, variables: { input } });
    const tookMs = performance.now() - startedAt;
    const execution = JSON.parse(answer).data?.execute;
    if (execution?.status !== 'OK' || execution.exitCode !== 0) throw new Error(answer);
    return tookMs;
  };
}

/** The rate at which the engine's own client gets the output of a command, until it has ended. */
function dockerExec(container: string): Receiver {
  return {
    name: 'docker exec',
    rate: async (wanted) => {
      let received = 0;
      const count = (piece: Buffer) => {
        received += piece.length;
      };
      const tookMs = await execTime(container, ['/bin/bash', '-c', wanted.code], count);
      return rateOf(wanted, received, tookMs);
    },
    close: async () => undefined,
  };
}

/** @returns milliseconds until the program has ended. @throws Error if it failed */
async function execTime(
  container: string,
  command: readonly string[],
  onOutput: (piece: Buffer) => void = () => undefined,
): Promise<number> {
  const startedAt = performance.now();
  const child = spawn('docker', ['exec', container, ...command], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  child.stdout.on('data', onOutput);
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`docker exec has ended with ${code}.`);
  return performance.now() - startedAt;
}
