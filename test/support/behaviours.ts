/**
 * Tests the tables of odd behaviours in kernel.md: each row is run, on one worker per heading, and must end with
 * the status, the error and the variables that the row states.
 */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AgentServer, startAgent } from '../../testkit/agentServer.ts';
import {
  createKernelRunner,
  type KernelRunner,
  type Ran,
  textOf,
} from '../../testkit/kernelRunner.ts';
import { cpuStallMs } from './ownProcess.ts';

export interface Behaviour {
  readonly code: string;
  /** Run first, and expected to end well. */
  readonly before?: string;
  /** What still runs when the code is accepted, so that the code waits for it. It must end as OK. */
  readonly running?: string;
  readonly timeoutMs?: number;
  readonly graceMs?: number;
  /** How long it may take if it always has a CPU. Default: its time limit and the grace. */
  readonly endsWithinMs?: number;
  readonly maxOutputBytes?: number;
  /** The whole stdout. */
  readonly stdout?: string;
  readonly stderr?: string;
  readonly sees?: (ran: Ran) => void;
  /** Code that is run next, and what it prints. A plain print always comes last. */
  readonly next?: string;
  readonly nextStdout?: string;
}

interface Row {
  readonly behaviour: string;
  readonly status: string;
  readonly errorName: string | null;
  readonly stateLost: boolean;
}

/** A worker starts on a machine that runs other tests too. */
const START_TIMEOUT_MS = 60_000;
/** Every execution ends within its time limit, the grace and this, whatever its code does. */
const MAX_OVERTIME_MS = 200;
const DEFAULT_TIMEOUT_MS = 10_000;
const DEFAULT_GRACE_MS = 500;
const CELL = /(?<!\\)\|/;

/** The rows below a heading of docs/internals/kernel.md. */
function documentedRows(heading: string): Row[] {
  const doc = readFileSync(new URL('../../docs/internals/kernel.md', import.meta.url), 'utf8');
  const section = doc.split(`\n### ${heading}\n`)[1]?.split('\n#')[0] ?? '';
  const lines = section.split('\n').filter((line) => line.startsWith('|'));
  return lines.slice(2).map((line) => {
    const [, behaviour = '', status = '', error = '', variables = ''] = line
      .split(CELL)
      .map((cell) => cell.trim());
    const errorName = error === '' ? null : error.replaceAll('`', '');
    return { behaviour, status, errorName, stateLost: variables === 'lost' };
  });
}

/** Tests every row below a heading. @param behaviours by the text of the row's first cell, in the order of the rows */
export function testBehaviours(
  heading: string,
  behaviours: Readonly<Record<string, Behaviour>>,
): void {
  describe(heading, () => {
    let server: AgentServer;
    let runner: KernelRunner;
    beforeAll(async () => {
      server = await startAgent();
      runner = createKernelRunner(server.address);
    }, START_TIMEOUT_MS);
    afterAll(async () => {
      await runner?.close();
      await server?.close();
    });

    const rows = documentedRows(heading);

    it('tests exactly the rows of the table in docs/internals/kernel.md', () => {
      expect(rows.map(({ behaviour }) => behaviour)).toEqual(Object.keys(behaviours));
    });

    it.each(rows)('$behaviour', async ({ behaviour, status, errorName, stateLost }) => {
      const test = behaviours[behaviour];
      if (!test) throw new Error('The table has a row that nothing tests.');
      const { timeoutMs = DEFAULT_TIMEOUT_MS, graceMs = DEFAULT_GRACE_MS } = test;
      await expectOk(runner, `variable = 1\n${test.before ?? ''}`);
      const [startedAt, stallAt] = [performance.now(), cpuStallMs()];
      const running = test.running === undefined ? null : expectOk(runner, test.running);
      const ran = await runner.run(test.code, { ...test, timeoutMs, graceMs });
      await running;
      const tookMs = performance.now() - startedAt - (cpuStallMs() - stallAt);
      const { endsWithinMs = timeoutMs + graceMs } = test;
      expect(tookMs).toBeLessThan(endsWithinMs + MAX_OVERTIME_MS);
      const { outcome } = ran;
      expect(outcome).toMatchObject({ status, errorName, stateLost });
      if (test.stdout !== undefined) expect(textOf(ran)).toBe(test.stdout);
      if (test.stderr !== undefined) expect(textOf(ran, 'stderr')).toBe(test.stderr);
      test.sees?.(ran);
      if (errorName !== null)
        expect(ran.outputs.filter(({ kind }) => kind === 'error')).toMatchObject([
          { name: errorName },
        ]);
      await expectTrueState(runner, test, stateLost);
    });
  });
}

/** Expects that the next executions work, and still have the variables unless state was reported as lost. */
async function expectTrueState(
  runner: KernelRunner,
  { next, nextStdout = '' }: Behaviour,
  stateLost: boolean,
): Promise<void> {
  if (next !== undefined) expect(textOf(await expectOk(runner, next))).toBe(nextStdout);
  const last = await expectOk(runner, "print('variable' in globals())");
  expect(textOf(last)).toBe(stateLost ? 'False\n' : 'True\n');
}

async function expectOk(runner: KernelRunner, code: string): Promise<Ran> {
  const ran = await runner.run(code);
  expect(ran.outcome).toMatchObject({ status: 'OK', errorName: null });
  return ran;
}
