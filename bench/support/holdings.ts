/** Reads what a gateway and its agents hold (memory, handles, files) under a load, and judges whether it stays flat. */
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { WebSocket } from 'ws';
import { containerProcesses } from '../../chaos/world/containerProcesses.ts';
import type { TestGateway } from '../../testkit/gateway.ts';
import { processMemory } from '../../testkit/processMemory.ts';
import type { BenchResult } from '../suite/bench.ts';

/** One kind of figure. */
interface Figure {
  readonly name: string;
  readonly unit: string;
  /**
   * How much the fitted line may rise after the warm-up, whatever the length of the run. So a longer run detects a
   * smaller leak. Each value is just above the observed effect of noise, caches that fill up late, and connections kept
   * for a while.
   */
  readonly allowedGrowth: number;
}

export const FIGURES = {
  heap: { name: 'gateway: data after collection', unit: 'MiB', allowedGrowth: 3 },
  rss: { name: 'gateway: resident memory', unit: 'MiB', allowedGrowth: 16 },
  handles: { name: 'gateway: active handles', unit: '', allowedGrowth: 8 },
  fds: { name: 'gateway: file descriptors', unit: '', allowedGrowth: 8 },
  agentMemory: { name: 'agents: anonymous memory, mean', unit: 'MiB', allowedGrowth: 2 },
  agentFds: { name: 'agents: file descriptors, mean', unit: '', allowedGrowth: 1 },
} as const satisfies Record<string, Figure>;

export type FigureName = keyof typeof FIGURES;

/** All figures at a moment when nothing is running. */
export type Look = Readonly<Record<FigureName, number>> & { readonly minute: number };

// Reads the live heap and the open handles of a running Node process through its inspector (`--inspect`).

/** What a process holds. */
interface Holdings {
  /**
   * Bytes of reachable data in the heap and in external buffers, after a full garbage collection. Compiled code does
   * not count, because V8 goes on compiling hot code for minutes.
   */
  readonly liveBytes: number;
  /** The number of timers, sockets, requests and the like that keep the event loop alive. */
  readonly handles: number;
}

interface Inspector {
  /** Collects all garbage, then reads the figures. */
  look(): Promise<Holdings>;
  close(): void;
}

const LOOK = `(() => {
  const { heapUsed, external } = process.memoryUsage();
  const code = process.getBuiltinModule('v8').getHeapCodeStatistics();
  const codeBytes = code.code_and_metadata_size + code.bytecode_and_metadata_size;
  const handles = process.getActiveResourcesInfo().length;
  return { liveBytes: heapUsed + external - codeBytes, handles };
})()`;

/** @param log the output of the process, which contains its inspector's address. @throws Error if it does not */
export async function openInspector(log: string): Promise<Inspector> {
  const address = [...log.matchAll(/^Debugger listening on (ws:\S+)$/gm)].at(-1)?.[1];
  if (address === undefined) throw new Error('The process was started without --inspect.');
  const socket = new WebSocket(address);
  await once(socket, 'open');
  let last = 0;

  async function call(method: string, params: object = {}): Promise<unknown> {
    last += 1;
    const id = last;
    socket.send(JSON.stringify({ id, method, params }));
    for (;;) {
      const [data] = await once(socket, 'message');
      const answer = JSON.parse(String(data)) as { id?: number; result?: unknown; error?: unknown };
      if (answer.id !== id) continue;
      if (answer.error) throw new Error(`${method}: ${JSON.stringify(answer.error)}`);
      return answer.result;
    }
  }

  return {
    async look() {
      // Twice, because finalizers of the first collection make more data unreachable.
      await call('HeapProfiler.collectGarbage');
      await call('HeapProfiler.collectGarbage');
      const evaluated = await call('Runtime.evaluate', { expression: LOOK, returnByValue: true });
      return (evaluated as { result: { value: Holdings } }).result.value;
    },
    close: () => socket.close(),
  };
}

// Reads all figures of a soak at one moment.

const BYTES_PER_MIB = 1_048_576;

interface LookDeps {
  readonly gateway: TestGateway;
  readonly inspector: Inspector;
  /** The containers whose agents are inspected. */
  readonly containers: readonly string[];
  /** `performance.now()` at the beginning of the run. */
  readonly startedAt: number;
}

/** @throws Error unless this is root, because agents run as another user */
export async function takeLook({
  gateway,
  inspector,
  containers,
  startedAt,
}: LookDeps): Promise<Look> {
  const { liveBytes, handles } = await inspector.look();
  const pids = containers.flatMap(agentPids);
  const mean = (of: (pid: number) => number) =>
    pids.reduce((sum, pid) => sum + of(pid), 0) / containers.length;
  return {
    minute: (performance.now() - startedAt) / 60_000,
    heap: liveBytes / BYTES_PER_MIB,
    rss: processMemory(gateway.pid, 'VmRSS'),
    handles,
    fds: openFiles(gateway.pid),
    agentMemory: mean((pid) => processMemory(pid, 'RssAnon')),
    agentFds: mean(openFiles),
  };
}

/** The agent and its fork server. The kernel does not count, because user code determines what it holds. */
function agentPids(container: string): number[] {
  const { agent, forkServer } = containerProcesses(container);
  if (agent === null || forkServer === null)
    throw new Error(`Container ${container} has no agent, or no fork server.`);
  return [agent, forkServer];
}

function openFiles(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

// Fits a trend to a series of samples.

/** A value at a time, in minutes since the start. */
interface Sample {
  readonly minute: number;
  readonly value: number;
}

interface Trend {
  /** The median of all samples. */
  readonly level: number;
  /** How much the fitted line rises from the first sample to the last. Negative if it falls. */
  readonly growth: number;
}

/**
 * Fits a line with the Theil-Sen estimator: its slope is the median of the slopes between all pairs of samples. So
 * single outliers hardly affect it (Sen, Estimates of the regression coefficient based on Kendall's tau, 1968).
 * @throws RangeError if there are fewer than two samples
 */
export function trendOf(samples: readonly Sample[]): Trend {
  const slopes = samples.flatMap((one, at) =>
    samples.slice(at + 1).map((other) => (other.value - one.value) / (other.minute - one.minute)),
  );
  const first = samples[0];
  const last = samples.at(-1);
  if (!first || !last || slopes.length === 0) throw new RangeError('A trend needs two samples.');
  return {
    level: median(samples.map(({ value }) => value)),
    growth: median(slopes) * (last.minute - first.minute),
  };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other);
  const middle = (sorted.length - 1) / 2;
  const [low, high] = [sorted[Math.floor(middle)], sorted[Math.ceil(middle)]];
  if (low === undefined || high === undefined) throw new RangeError('There is no sample.');
  return (low + high) / 2;
}

// Judges whether the figures stayed flat over all looks.

export interface FigureVerdict extends Trend {
  readonly figure: FigureName;
  readonly isFlat: boolean;
}

/** Judges each figure over all these looks. @throws RangeError if there are fewer than two */
export function judge(looks: readonly Look[]): FigureVerdict[] {
  return (Object.keys(FIGURES) as FigureName[]).map((figure) => {
    const trend = trendOf(looks.map((look) => ({ minute: look.minute, value: look[figure] })));
    return { figure, ...trend, isFlat: trend.growth <= FIGURES[figure].allowedGrowth };
  });
}

/**
 * Converts the verdicts for the suite's report. It is a failure if a figure grows.
 * @param after what was left out, in words
 */
export function reportVerdicts(verdicts: readonly FigureVerdict[], after: string): BenchResult {
  const figures = verdicts.flatMap(({ figure, level, growth }) => {
    const { name, unit, allowedGrowth } = FIGURES[figure];
    return [
      { name: `${name}, level ${after}`, unit, value: level },
      { name: `${name}, growth ${after}`, unit, value: growth, target: { atMost: allowedGrowth } },
    ];
  });
  const growing = verdicts
    .filter(({ isFlat }) => !isFlat)
    .map(({ figure }) => FIGURES[figure].name);
  const result = { comparisons: [], figures };
  return growing.length === 0 ? result : { ...result, failure: `it grows: ${growing.join(', ')}` };
}

const CELL_CHARS = 12;
const NAMES = Object.keys(FIGURES) as FigureName[];

/** The head of a table that shows the looks while the bench runs: the figures' names, after `first`. */
export function headRow(first: string): string {
  return cells([first, ...NAMES]);
}

export function lookRow(first: string, look: Look): string {
  return cells([first, ...NAMES.map((name) => look[name].toFixed(1))]);
}

function cells(row: readonly string[]): string {
  return row.map((cell) => cell.padStart(CELL_CHARS)).join('');
}
