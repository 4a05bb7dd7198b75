/**
 * Runs `npm run chaos` as a user would, to show that nothing acknowledged is ever lost. test/unit/chaosChecker.test.ts
 * tests that the checker of the run finds bugs.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { createInterface } from 'node:readline';
import { describe, expect, it } from 'vitest';
import { stopwatch } from '../../chaos/history.ts';
import { within } from '../../src/async/within.ts';
import { EXTENT } from '../extent.ts';
import { SEED } from '../support/seeded.ts';

const SCRIPT = new URL('../../scripts/chaos.mjs', import.meta.url).pathname;
const MINUTES = EXTENT.chaosMinutes;
/** The least number of faults. SEED fixes their kinds and order, so that each run has the same faults. */
const MIN_FAULTS = 20 * MINUTES;
/** From a run's start to its first fault. It takes some 20 s, half of that to remove what a killed run left. */
const START_LIMIT_MS = 180_000;
/** Beyond its minutes, a run takes some 40 s: for its start, and until everything is at rest. */
const RUN_LIMIT_MS = (MINUTES + 6) * 60_000;
/** From the signal that ends a run to its exit. Meanwhile the run removes its containers. */
const END_LIMIT_MS = 150_000;
/** Vitest's limits are this much longer than those of the runs: only the latter show what a run has printed. */
const SPARE_MS = END_LIMIT_MS + 10_000;

interface Run {
  readonly child: ChildProcess;
  readonly lines: string[];
  /** All lines, each with the time since the start. */
  readonly said: () => string;
  readonly ended: Promise<number | null>;
}

function start(...words: string[]): Run {
  const child = spawn(process.execPath, [SCRIPT, ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
  const took = stopwatch();
  const lines: string[] = [];
  const times: string[] = [];
  const note = (line: string) => {
    lines.push(line);
    times.push(took());
  };
  for (const input of [child.stdout, child.stderr]) createInterface({ input }).on('line', note);
  const ended = once(child, 'close').then(([code]) => code as number | null);
  const said = () => lines.map((line, at) => `${times[at]?.padStart(8)} | ${line}`).join('\n');
  return { child, lines, said, ended };
}

/** Waits for `work`, and ends the run if that takes too long. @throws Error with all that the run has printed */
function inTime<T>(run: Run, limitMs: number, work: Promise<T>): Promise<T> {
  return within(limitMs, work, async () => {
    run.child.kill('SIGTERM');
    await within(END_LIMIT_MS, run.ended, () => run.child.kill('SIGKILL'));
    throw new Error(`The run has been ended after ${limitMs} ms:\n${run.said()}`);
  });
}

/** Resolves after the first fault: by then, everything has started. */
function struck(run: Run): Promise<void> {
  return inTime(run, START_LIMIT_MS, untilFirstFault(run));
}

async function untilFirstFault({ child, lines, said, ended }: Run): Promise<void> {
  while (!lines.some((line) => /^ +[\d.]+ s {2}\w/.test(line))) {
    const isOver = await Promise.race([
      ended.then(() => true),
      once(child.stdout ?? child, 'data').then(() => false),
    ]);
    if (isOver) throw new Error(`The run ended before it struck:\n${said()}`);
  }
}

/** The folders that a run with this process id made, and the processes that work in them. */
function leftBy(pid: number | undefined): string[] {
  const folders = readdirSync(tmpdir()).filter((name) =>
    new RegExp(`^ch-(chaos|own-engine)-${pid}-`).test(name),
  );
  const processes = readdirSync('/proc').filter((name) => {
    const path = `/proc/${name}/cmdline`;
    return (
      /^\d+$/.test(name) &&
      existsSync(path) &&
      folders.some((folder) => readIfThere(path).includes(folder))
    );
  });
  return [...folders, ...processes];
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** Only root can start another engine. */
describe.runIf(process.getuid?.() === 0)('npm run chaos', () => {
  let killed: number | undefined;

  it(
    'ends at once when it is interrupted, and leaves nothing',
    async () => {
      const run = start('--minutes', '3', '--users', '3', '--gateways', '1');
      await struck(run);
      run.child.kill('SIGINT');
      expect(await inTime(run, END_LIMIT_MS, run.ended), run.said()).toBe(130);
      expect(run.lines.at(-1), run.said()).toBe('interrupted; everything is cleaned up');
      expect(leftBy(run.child.pid)).toEqual([]);
    },
    START_LIMIT_MS + END_LIMIT_MS + SPARE_MS,
  );

  it(
    'leaves folders and processes behind when it is killed',
    async () => {
      const run = start('--minutes', '3', '--users', '3', '--gateways', '1');
      await struck(run);
      run.child.kill('SIGKILL');
      await run.ended;
      killed = run.child.pid;
      expect(leftBy(killed)).not.toEqual([]);
    },
    START_LIMIT_MS + END_LIMIT_MS + SPARE_MS,
  );

  it(
    'removes what a killed run left, makes its faults, and finds nothing lost, doubled or left over',
    async () => {
      const run = start('--minutes', String(MINUTES), '--seed', String(SEED));
      const code = await inTime(run, RUN_LIMIT_MS, run.ended);
      const last = run.lines.at(-1) ?? '';
      expect(last, run.said()).toMatch(/^\d+ faults, 0 lost, 0 doubled, 0 orphans$/);
      expect(Number.parseInt(last, 10)).toBeGreaterThanOrEqual(MIN_FAULTS);
      expect(code, run.said()).toBe(0);
      expect(leftBy(run.child.pid)).toEqual([]);
      expect(leftBy(killed)).toEqual([]);
    },
    RUN_LIMIT_MS + SPARE_MS,
  );
});
