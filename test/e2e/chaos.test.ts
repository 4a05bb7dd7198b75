/**
 * Runs `npm run chaos` as a user would, to show that nothing acknowledged is ever lost. test/unit/chaosChecker.test.ts
 * tests that its checker finds bugs.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { createInterface } from 'node:readline';
import { describe, expect, it } from 'vitest';
import { EXTENT } from '../extent.ts';

const SCRIPT = new URL('../../scripts/chaos.mjs', import.meta.url).pathname;
const MINUTES = EXTENT.chaosMinutes;
/** The seed that fixes the kinds and the order of faults, so that each run has the same ones. */
const SEED = 20_260_131;
const MIN_FAULTS = 20 * MINUTES;
/** Added to the minutes of the run: an engine loads an image, and the end waits until everything is at rest. */
const RUN_LIMIT_MS = (MINUTES + 10) * 60_000;
/** Its own engine first loads the image, which takes minutes if others write to the disk. */
const START_LIMIT_MS = 600_000;

interface Run {
  readonly child: ChildProcess;
  readonly lines: string[];
  readonly ended: Promise<number | null>;
}

function start(...words: string[]): Run {
  const child = spawn(process.execPath, [SCRIPT, ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
  const lines: string[] = [];
  for (const input of [child.stdout, child.stderr])
    createInterface({ input }).on('line', (line) => lines.push(line));
  const ended = once(child, 'close').then(([code]) => code as number | null);
  return { child, lines, ended };
}

/** Resolves after the first fault, since everything is up by then. */
async function struck({ child, lines, ended }: Run): Promise<void> {
  while (!lines.some((line) => /^ +[\d.]+ s {2}\w/.test(line))) {
    const isOver = await Promise.race([
      ended.then(() => true),
      once(child.stdout ?? child, 'data').then(() => false),
    ]);
    if (isOver) throw new Error(`The run ended before it struck:\n${lines.join('\n')}`);
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
      expect(await run.ended).toBe(130);
      expect(run.lines.at(-1)).toBe('interrupted; everything is cleaned up');
      expect(leftBy(run.child.pid)).toEqual([]);
    },
    START_LIMIT_MS,
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
    START_LIMIT_MS,
  );

  it(
    'removes what a killed run left, makes its faults, and finds nothing lost, doubled or left over',
    async () => {
      const run = start('--minutes', String(MINUTES), '--seed', String(SEED));
      const code = await run.ended;
      const last = run.lines.at(-1) ?? '';
      expect(last, run.lines.join('\n')).toMatch(/^\d+ faults, 0 lost, 0 doubled, 0 orphans$/);
      expect(Number.parseInt(last, 10)).toBeGreaterThanOrEqual(MIN_FAULTS);
      expect(code).toBe(0);
      expect(leftBy(run.child.pid)).toEqual([]);
      expect(leftBy(killed)).toEqual([]);
    },
    RUN_LIMIT_MS,
  );
});
