/** Measures where the time of an execute goes, with a second gateway that is traced, in turns with an untraced one. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startTestGateway } from '../../testkit/gateway.ts';
import { until } from '../../testkit/until.ts';
import { contenderAt } from '../contenders/contenders.ts';
import type { BenchResult, Figure } from '../suite/bench.ts';
import { type Contender, takeTurns } from '../suite/takeTurns.ts';
import {
  type Peer,
  sharedNowMs,
  TRACE_FILE,
  TRACE_SIGNAL,
  type TracedCall,
  type TraceEvent,
} from './trace.ts';

const TURNS = { samples: 200, warmUp: 50 };
/** The compiled tracer, in the folder of the compiled form of this file. */
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

// Derives where the time of an execute goes, from the times of the reads and writes on the gateway's sockets.

/** Each stage begins when the previous one ends, so together they make up the whole call. */
const STAGES = [
  'the caller, to the gateway',
  'token, body, GraphQL, decision',
  'intent committed',
  'hand-over to the agent',
  'agent, to the kernel busy',
  'kernel, to its reply and idle',
  'agent, back to the gateway',
  'folded, to the finish decided',
  'finish committed',
  'answer made',
  'back to the caller',
] as const;

/** Largest share of calls that may have an unusual trace, e.g. with a ping or another commit in between. */
const MAX_ODD_SHARE = 0.5;

/** The part of all calls, sorted by duration, that is evaluated: those around the median. */
const MIDDLE = { from: 0.4, to: 0.6 };

/**
 * The mean duration of each stage, in order, over the calls that took about as long as the median. Means add up to the
 * whole call. Medians of stages would not: they would miss delays that occur now in one stage, now in another.
 * @param calls made one after the other, without any other calls at the same time
 * @throws Error if most calls did not leave a trace of the expected shape
 */
export function stagesOf(calls: readonly TracedCall[], events: readonly TraceEvent[]): Figure[] {
  const timed = calls
    .flatMap((call) => {
      const stages = stagesOfCall(call, events);
      return stages ? [{ stages, tookMs: call.answeredAt - call.sentAt }] : [];
    })
    .sort((one, other) => one.tookMs - other.tookMs);
  if (timed.length <= calls.length * MAX_ODD_SHARE)
    throw new Error(`Only ${timed.length} of ${calls.length} calls left the expected trace.`);
  const [from, to] = [Math.floor(timed.length * MIDDLE.from), Math.ceil(timed.length * MIDDLE.to)];
  const middle = timed.slice(from, to);
  const mean = (of: (call: (typeof middle)[number]) => number) =>
    middle.reduce((sum, call) => sum + of(call), 0) / middle.length;
  const stages = STAGES.map((name, at) => ({
    name: `stage: ${name}`,
    unit: 'ms',
    value: mean((call) => call.stages[at] ?? Number.NaN),
  }));
  return [
    ...stages,
    { name: 'all stages of these calls', unit: 'ms', value: mean(({ tookMs }) => tookMs) },
    { name: 'calls traced, of which these are the middle fifth', unit: '', value: timed.length },
  ];
}

/** The duration of each stage. Null if a part of the trace is missing or in another order. */
function stagesOfCall(call: TracedCall, events: readonly TraceEvent[]): number[] | null {
  const times = timesOfCall(call, events);
  const stages = times.slice(1).map((time, at) => time - (times[at] ?? Number.NaN));
  return stages.length === STAGES.length && stages.every((stage) => stage >= 0) ? stages : null;
}

/** When each stage began, and when the last one ended. */
function timesOfCall({ sentAt, answeredAt }: TracedCall, events: readonly TraceEvent[]): number[] {
  const during = events.filter(({ at }) => at >= sentAt && at <= answeredAt);
  const agent = during.find(({ madeAt }) => madeAt.length > 0)?.socket;
  const find = (peer: Peer, way: TraceEvent['way'], after: number) =>
    during.find((event) => event.peer === peer && event.way === way && event.at >= after)?.at ??
    Number.NaN;
  const arrived = find('http', 'read', sentAt);
  const intent = find('commits', 'write', arrived);
  const intended = find('commits', 'read', intent);
  const ofAgent = during.filter(({ socket, at }) => socket === agent && at >= intended);
  const handed = ofAgent.find(({ way }) => way === 'write')?.at ?? Number.NaN;
  const finish = find('commits', 'write', handed);
  const said = ofAgent.filter(({ way, at }) => way === 'read' && at >= handed && at <= finish);
  const madeAt = said.flatMap((event) => event.madeAt);
  const finished = find('commits', 'read', finish);
  const answer = during.findLast(({ peer, way }) => peer === 'http' && way === 'write')?.at;
  return [
    ...[sentAt, arrived, intent, intended, handed],
    ...[madeAt[0], madeAt.at(-1), said.at(-1)?.at].map((time) => time ?? Number.NaN),
    ...[finish, finished, answer ?? Number.NaN, answeredAt],
  ];
}
