/**
 * The table "Odd commands" of docs/internals/api.md: what the caller of each command gets, and that no process is left.
 * The agent's tests (worker-image/agent/tests/test_odd_commands.py) have more odd commands, and run under each runtime.
 */
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { asRoot } from '../../testkit/asRoot.ts';
import type { TestGateway } from '../../testkit/gateway.ts';
import { containerOf, execute, runCommand } from '../../testkit/interpreter.ts';
import { createInstallation, type TestInstallation } from '../support/installation.ts';

const MANY = 128;
/** How many commands may run at once. The rest of the MANY commands wait. */
const MOST = 64;
const FLOOD_BYTES = 10_000_000;
/** For commands that end at their limit. A shell needs time to begin on a busy machine, beside all other commands. */
const SHORT = { timeoutMs: 6_000 };
/** For commands that end by themselves. */
const AMPLE = { timeoutMs: 60_000 };

interface End {
  readonly status: string;
  readonly exitCode?: number;
  readonly signal?: string;
  readonly stdout?: string;
}

/** The code, its end, and its limits. */
const ROWS: readonly (readonly [
  code: string,
  end: End,
  options?: Readonly<Record<string, unknown>>,
])[] = [
  ['sleep 60 & echo now', { status: 'OK', exitCode: 0, stdout: 'now\n' }],
  ['(while :; do echo more; sleep 0.01; done) & sleep 0.1', { status: 'OK', exitCode: 0 }],
  [
    "setsid sleep 60 & (setsid sh -c 'sleep 60 & sleep 60' &); echo now",
    { status: 'OK', exitCode: 0, stdout: 'now\n' },
  ],
  ['echo out; kill -9 $$', { status: 'ERROR', signal: 'SIGKILL', stdout: 'out\n' }],
  ['echo out; kill -9 0', { status: 'ERROR', signal: 'SIGKILL', stdout: 'out\n' }],
  ['exec sleep 60', { status: 'TIMEOUT', signal: 'SIGINT' }, SHORT],
  ["trap '' INT TERM; while :; do :; done", { status: 'TIMEOUT', signal: 'SIGKILL' }, SHORT],
  ['kill -STOP $$; echo on', { status: 'TIMEOUT', signal: 'SIGINT', stdout: '' }, SHORT],
  [
    "trap '' INT; kill -STOP $$; sleep 60",
    { status: 'TIMEOUT', signal: 'SIGKILL', stdout: '' },
    SHORT,
  ],
  ['cat; echo end', { status: 'OK', exitCode: 0, stdout: 'end\n' }],
  ['exec <&-; cat; echo $?', { status: 'OK', exitCode: 0, stdout: '1\n' }],
  ['exec >&- 2>&-; exit 4', { status: 'ERROR', exitCode: 4, stdout: '' }],
  ['yes', { status: 'TIMEOUT', signal: 'SIGINT' }, SHORT],
  ['no-such-program', { status: 'ERROR', exitCode: 127, stdout: '' }],
  ['if', { status: 'ERROR', exitCode: 2, stdout: '' }],
];

let installation: TestInstallation;
let gateway: TestGateway;
let user: string;
beforeAll(async () => {
  const settings = { MAX_COMMANDS: String(MOST), MAX_QUEUED_EXECUTIONS: String(MANY) };
  installation = await createInstallation({ ...settings, WORKER_PIDS: '512', WORKER_CPUS: '2' });
  gateway = await installation.start();
});
afterAll(() => installation.destroy());
beforeEach(({ task }) => {
  user = task.name.slice(0, 100);
});

/** The user's processes in the worker. */
async function processes(): Promise<string[]> {
  const list = ['ps', '-wwo', 'args=', '-U', '64002'];
  return (await asRoot(await containerOf(gateway, user), list)).trim().split(/\r?\n/);
}

it('each odd command ends as the table says, beside all others, and leaves nothing', async () => {
  await execute(gateway, user, '1');
  const before = await processes();
  const ends = await Promise.all(
    ROWS.map(async ([code, , options = AMPLE]) => {
      const { status, exitCode, signal, stdout } = await runCommand(gateway, user, code, options);
      return { code, status, exitCode, signal, stdout };
    }),
  );
  expect(ends).toMatchObject(
    ROWS.map(([code, end]) => ({ code, exitCode: null, signal: null, ...end })),
  );
  expect(await processes()).toEqual(before);
  expect(await runCommand(gateway, user, 'echo next')).toMatchObject({ stdout: 'next\n' });
});

it('10 MB without a newline arrive', async () => {
  const code = `head -c ${FLOOD_BYTES} /dev/zero | tr '\\0' x`;
  const { status, stdout } = await runCommand(gateway, user, code, { timeoutMs: 60_000 });
  expect([status, stdout.length]).toEqual(['OK', FLOOD_BYTES]);
  expect(stdout).toBe('x'.repeat(FLOOD_BYTES));
});

it('a command that kills all processes of its user ends the kernel and other commands, whose callers learn it', async () => {
  await execute(gateway, user, 'n = 1');
  const other = runCommand(gateway, user, 'echo on > begun; sleep 60', { timeoutMs: 100_000 });
  const kill = 'until [ -e begun ]; do sleep 0.05; done; kill -9 -1; exit 3';
  const killer = await runCommand(gateway, user, kill);
  // Linux spares the process that calls kill(-1).
  expect([3, null]).toContain(killer.exitCode);
  expect(await other).toMatchObject({ status: 'ERROR', signal: 'SIGKILL' });
  expect(await execute(gateway, user, 'n')).toMatchObject({ status: 'ERROR', stateLost: true });
});

it('128 commands sent at once each end with their own output', { timeout: 240_000 }, async () => {
  const ends = await Promise.all(
    Array.from({ length: MANY }, async (_, n) => {
      const code = `echo ${n}; sleep 1; exit ${n}`;
      const ended = await runCommand(gateway, user, code, { timeoutMs: 200_000 });
      return [ended.stdout, ended.exitCode];
    }),
  );
  expect(ends).toEqual(Array.from({ length: MANY }, (_, n) => [`${n}\n`, n]));
});
