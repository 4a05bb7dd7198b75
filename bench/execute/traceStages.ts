/** Measures where the time of an execute goes, with a second gateway that is traced, in turns with an untraced one. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startTestGateway } from '../../testkit/gateway.ts';
import { until } from '../../testkit/until.ts';
import type { BenchResult } from '../suite/bench.ts';
import { type Contender, takeTurns } from '../suite/takeTurns.ts';
import { contenderAt } from './contenders.ts';
import { stagesOf } from './stagesOf.ts';
import {
  sharedNowMs,
  TRACE_FILE,
  TRACE_SIGNAL,
  type TracedCall,
  type TraceEvent,
} from './trace.ts';

const TURNS = { samples: 200, warmUp: 50 };
/** The compiled tracer, beside the compiled form of this file. */
const TRACER = new URL('./traceIo.js', import.meta.url).href;

/** @param untraced the baseline for the cost of tracing */
export async function traceStages(untraced: Contender): Promise<BenchResult> {
  const folder = mkdtempSync(join(tmpdir(), 'ch-bench-trace-'));
  const file = join(folder, 'trace.json');
  const gateway = await startTestGateway({
    LOG_LEVEL: 'warn',
    NODE_OPTIONS: `--import=${TRACER}`,
    [TRACE_FILE]: file,
  });
  try {
    const { name, roundTrip } = contenderAt(gateway);
    const calls: TracedCall[] = [];
    const traced = async (): Promise<number> => {
      const sentAt = sharedNowMs();
      const tookMs = await roundTrip();
      calls.push({ sentAt, answeredAt: sentAt + tookMs });
      return tookMs;
    };
    const contenders = [untraced, { name: `${name}, traced`, roundTrip: traced }] as const;
    const [base, measured] = await takeTurns(contenders, TURNS);
    process.kill(gateway.pid, TRACE_SIGNAL);
    await until('the trace', async () => existsSync(file));
    const events = JSON.parse(readFileSync(file, 'utf8')) as TraceEvent[];
    return {
      comparisons: [{ name: 'what the trace costs', unit: 'ms', base, measured }],
      figures: stagesOf(calls.slice(TURNS.warmUp), events),
    };
  } finally {
    await gateway.destroy();
    rmSync(folder, { recursive: true, force: true });
  }
}
