/**
 * Measures what gVisor costs: `1+1` of `execute` through a gateway whose workers run under runsc, compared with a
 * gateway whose workers run under runc, and how much more memory a new worker takes. The bench adds runsc to the
 * engine, as `npm test` does.
 *
 * `npm run bench -- isolation [--samples N]`
 */
import { execFile } from 'node:child_process';
import { parseArgs, promisify } from 'node:util';
import Docker from 'dockerode';
import { startTestGateway, type TestGateway } from '../testkit/gateway.ts';
import { containerOf } from '../testkit/interpreter.ts';
import { CALLER, contenderAt } from './contenders/contenders.ts';
import type { Bench } from './suite/bench.ts';
import { type Contender, takeTurns, withContenders } from './suite/takeTurns.ts';

const WARM_UP = 50;
/** Generous, because a busy machine may need long to start a gateway's first worker. */
const WAIT_MS = '120000';
const SETTINGS = { LOG_LEVEL: 'warn', MIN_IDLE_WORKERS: '1', WORKER_WAIT_TIMEOUT_MS: WAIT_MS };

export const isolationBench: Bench = {
  name: 'isolation',
  about: '1+1 through HTTP to workers under gVisor (runsc), beside the same under runc',
  isInBareRun: true,
  run: async ({ isShort, args, say }) => {
    const { values } = parseArgs({
      args: [...args],
      options: { samples: { type: 'string', default: isShort ? '100' : '400' } },
    });
    await ensureRunsc(say);
    const gateways: TestGateway[] = [];
    const start = async (runtime: string): Promise<Contender> => {
      const gateway = await startTestGateway({ ...SETTINGS, DOCKER_RUNTIME: runtime });
      gateways.push(gateway);
      return { ...contenderAt(gateway), name: `under ${runtime}` };
    };
    return await withContenders([() => start('runc'), () => start('runsc')], async (contenders) => {
      for (const { roundTrip } of contenders) await roundTrip();
      const [runc = 0, runsc = 0] = await Promise.all(gateways.map(memoryMib));
      const more = { name: 'memory of a new worker: more than under runc', unit: 'MiB' };
      const turns = { samples: Number(values.samples), warmUp: WARM_UP };
      const [base, measured] = await takeTurns(contenders, turns);
      return {
        comparisons: [{ name: '1+1', unit: 'ms', base, measured }],
        figures: [{ ...more, value: runsc - runc }],
      };
    });
  },
};

/** What counts against the worker's limit, without the cache of files, which the kernel gives back. */
async function memoryMib(gateway: TestGateway): Promise<number> {
  const container = new Docker().getContainer(await containerOf(gateway, CALLER));
  const { memory_stats } = await container.stats({ stream: false });
  const { total_inactive_file, inactive_file } = memory_stats.stats;
  return (memory_stats.usage - (total_inactive_file || inactive_file)) / 2 ** 20;
}

/** Runs the project's set-up of runsc. @throws Error with its message if that fails, including what to do by hand */
async function ensureRunsc(say: (line: string) => void): Promise<void> {
  try {
    const script = 'scripts/setup-runsc.mjs';
    const { stdout } = await promisify(execFile)(process.execPath, [script]);
    if (stdout.includes('•')) say(stdout.trim());
  } catch (cause: unknown) {
    const said = cause instanceof Error && 'stderr' in cause ? String(cause.stderr).trim() : '';
    throw new Error(`gVisor (runsc) cannot be used here.\n${said}`, { cause });
  }
}
