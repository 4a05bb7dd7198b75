/**
 * After a kill of the gateway, its process group or the database, sessions live on and no output is lost or doubled.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OWN_SERVER, startTestGateway, type TestGateway } from '../../testkit/gateway.ts';
import { execute, follow, type Output, printed, submit } from '../../testkit/interpreter.ts';
import { until } from '../../testkit/until.ts';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway(OWN_SERVER);
  for (const user of ['ann', 'bob', 'eve']) await execute(gateway, user, `name = '${user}'`);
});
afterAll(() => gateway.destroy());

const PRINT_50_LINES = `import time
for i in range(50):
    print('line', i)
    time.sleep(0.1)`;
const LINES = Array.from({ length: 50 }, (_, index) => `line ${index}\n`).join('');

/** The processes of this installation's PostgreSQL, found by their data directory. */
function postgresPids(dataDir: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const isServer = readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(
          `${dataDir}/postgres`,
        );
        return (
          isServer || readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`PGDATA=${dataDir}`)
        );
      } catch {
        return false;
      }
    })
    .map(Number);
}

/** Kills every process of PostgreSQL: the postmaster and its children. Returns how many there were. */
function killPostgres(dataDir: string): number {
  const first = postgresPids(dataDir);
  const children = first.flatMap((pid) =>
    readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
      .trim()
      .split(/\s+/)
      .filter(Boolean)
      .map(Number),
  );
  const all = new Set([...first, ...children]);
  for (const pid of all) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch (error: unknown) {
      // A child process may have ended with its parent.
      if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
    }
  }
  return all.size;
}

const faults: { name: string; strike: () => Promise<void> }[] = [
  {
    name: "kill -9 of the gateway's process",
    strike: async () => {
      await gateway.kill('SIGKILL');
    },
  },
  {
    name: 'kill -9 of the process group and of every PostgreSQL process',
    strike: async () => {
      await gateway.kill('SIGKILL', true);
      expect(killPostgres(gateway.dataDir)).toBeGreaterThan(3);
    },
  },
];

describe.each(faults)('$name while code prints', ({ strike }) => {
  it('no session and no line is lost', async () => {
    const { id } = await submit(gateway, 'ann', PRINT_50_LINES, { timeoutMs: 30_000 });
    const seen: Output[] = [];
    const cut = follow(gateway.socket(), id).then((outputs) => seen.push(...outputs));
    await printed(gateway.socket(), id, 10);
    await strike();
    await cut;
    expect(seen.length).toBeGreaterThan(0);
    expect(seen.at(-1)?.__typename).toBe('StreamOutput');
    await gateway.restart();

    const rest = await follow(gateway.socket(), id, seen.at(-1)?.seq);
    const all = [...seen, ...rest];
    expect(all.map(({ seq }) => seq)).toEqual(all.map((_, index) => index + 1));
    expect(all.map(({ text }) => text ?? '').join('')).toBe(LINES);
    expect(all.at(-1)).toMatchObject({
      __typename: 'ExecutionFinished',
      execution: { status: 'OK', stateLost: false },
    });
    for (const user of ['ann', 'bob', 'eve']) {
      const answer = await execute(gateway, user, 'name');
      expect(answer).toMatchObject({ status: 'OK', resultText: `'${user}'`, stateLost: false });
    }
  });
});

describe('kill -9 of every PostgreSQL process while the gateway lives', () => {
  it('the embedded PostgreSQL is started again; the code goes on and no line is lost', async () => {
    const { id } = await submit(gateway, 'eve', PRINT_50_LINES, { timeoutMs: 30_000 });
    await printed(gateway.socket(), id, 5);
    expect(killPostgres(gateway.dataDir)).toBeGreaterThan(3);
    const outputs = await follow(gateway.socket(), id);
    expect(outputs.at(-1)).toMatchObject({ execution: { status: 'OK', stateLost: false } });
    expect(outputs.map(({ text }) => text ?? '').join('')).toBe(LINES);
    expect((await execute(gateway, 'eve', 'name')).resultText).toBe("'eve'");
  });
});

describe('SIGTERM while code prints', () => {
  it('a gateway drains at SIGTERM: its code runs on, the process ends with 0 within 10 s, and nothing is lost', async () => {
    const { id } = await submit(gateway, 'bob', PRINT_50_LINES, { timeoutMs: 30_000 });
    await printed(gateway.socket(), id, 5);
    const startedAt = performance.now();
    expect(await gateway.kill('SIGTERM')).toEqual({ code: 0, signal: null });
    expect(performance.now() - startedAt).toBeLessThan(10_000);
    await gateway.restart();
    const all = await follow(gateway.socket(), id);
    expect(all.map(({ text }) => text ?? '').join('')).toBe(LINES);
    expect((await execute(gateway, 'bob', 'name')).resultText).toBe("'bob'");
  });
});

describe('a second signal', () => {
  const LONG = { timeoutMs: 60_000 };

  /** Resolves when the user's execution has just been requested. */
  async function accepted(userUuid: string): Promise<void> {
    await until('the execution to be accepted', async () => {
      const answer = await gateway.graphql<{ session: { lastActiveAt: string } | null }>(
        'query Active($user: String!) { session(userUuid: $user) { lastActiveAt } }',
        { user: userUuid },
      );
      return Date.now() - Date.parse(answer.data?.session?.lastActiveAt ?? '') < 1_000;
    });
  }

  it('within a second of the first counts as the same: a Ctrl-C can arrive twice', async () => {
    const running = execute(gateway, 'ann', 'import time\ntime.sleep(2)\n"done"', LONG);
    await accepted('ann');
    process.kill(gateway.pid, 'SIGINT');
    expect(await gateway.kill('SIGINT')).toEqual({ code: 0, signal: null });
    expect((await running).resultText).toBe("'done'");
    await gateway.restart();
  });

  it('more than a second after the first ends the process at once', async () => {
    const running = execute(gateway, 'bob', 'import time\ntime.sleep(30)', LONG).catch(
      () => 'cut off',
    );
    await accepted('bob');
    process.kill(gateway.pid, 'SIGTERM');
    // There is no event to wait for: a second must pass.
    await delay(1_200);
    // The process does not wait for calls: otherwise it would exit with 0, and the call would get its answer.
    expect(await gateway.kill('SIGTERM')).toEqual({ code: 130, signal: null });
    expect(await running).toBe('cut off');
    await gateway.restart();
    expect((await execute(gateway, 'ann', 'name')).resultText).toBe("'ann'");
  });
});
