/**
 * Measures what gVisor costs: `1+1` of `execute` through a gateway whose workers run under runsc, compared with a
 * gateway whose workers run under runc. The bench adds runsc to the engine, as `npm test` does.
 *
 * `npm run bench -- isolation [--samples N]`
 */
import { execFile } from 'node:child_process';
import { parseArgs, promisify } from 'node:util';
import { startTestGateway } from '../testkit/gateway.ts';
import { contenderAt } from './contenders/contenders.ts';
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
    const starts = [() => start('runc'), () => start('runsc')] as const;
    const [base, measured] = await withContenders(starts, (contenders) =>
      takeTurns(contenders, { samples: Number(values.samples), warmUp: WARM_UP }),
    );
    return { comparisons: [{ name: '1+1', unit: 'ms', base, measured }], figures: [] };
  },
};

async function start(runtime: string): Promise<Contender> {
  const gateway = await startTestGateway({ ...SETTINGS, DOCKER_RUNTIME: runtime });
  return { ...contenderAt(gateway), name: `under ${runtime}` };
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
