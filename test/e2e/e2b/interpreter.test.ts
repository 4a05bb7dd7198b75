/** Code and its contexts, as E2B's own SDK runs them in sandboxes of a real gateway. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EXTENT } from '../../extent.ts';
import { CELLS, type Cell, ENVIRONMENTS, summary } from '../../support/e2b/cells.ts';
import { CHARTS } from '../../support/e2b/charts.ts';
import {
  E2B_SDKS,
  endOf,
  LONG,
  runningCode,
  type Sandbox,
  useE2bGateway,
} from '../../support/e2b/sdks.ts';

useE2bGateway();

it('the tests use the two versions of the SDK that are promised', () => {
  expect(E2B_SDKS.map(({ name }) => name)).toEqual([
    '@e2b/code-interpreter 2.8.0 with e2b 2.51.0',
    '@e2b/code-interpreter 2.8.0 with e2b 2.50.0',
  ]);
});

describe.each(E2B_SDKS.slice(0, EXTENT.e2bInstalls))('$name', ({ sdk }) => {
  let sandbox: Sandbox;
  beforeAll(async () => {
    sandbox = await sdk.Sandbox.create();
  });
  afterAll(() => sandbox.kill());

  describe('in one sandbox', () => {
    it.each(CELLS)('runCode gives $title', async ({ code, options, gives }) => {
      const cell = options === undefined ? { code } : { code, options };
      expect(await summary(sandbox, cell)).toMatchObject(gives);
    });

    it.each(CHARTS)('a figure comes with a chart: $title', async ({ code, chart }) => {
      const { results, error } = await sandbox.runCode(code);
      expect(error).toBeUndefined();
      expect(results).toMatchObject([{ chart, extra: {} }]);
      expect(JSON.parse(JSON.stringify(results[0]?.chart))).toEqual(results[0]?.chart);
    });

    it('large output on stdout is whole, character by character', async () => {
      const code = 'for n in range(1000): print(f"{n:04}" + "é🧪\\u2028\\u0085" * 120)';
      const line = (n: number) => `${String(n).padStart(4, '0')}${'é🧪\u2028\u0085'.repeat(120)}\n`;
      const { logs, error } = await sandbox.runCode(code);
      expect(error).toBeUndefined();
      expect(logs.stdout.join('')).toBe(Array.from({ length: 1000 }, (_, n) => line(n)).join(''));
      const { logs: one } = await sandbox.runCode('print("x" * 1_000_000)');
      expect(one.stdout.join('').length).toBe(1_000_001);
    });

    it('code that is not a string is refused', async () => {
      await expect(sandbox.runCode({ not: 'code' } as never)).rejects.toThrow(/^422 /);
    });

    it('a context and a language together are refused by the SDK', async () => {
      const context = await sandbox.createCodeContext();
      await expect(
        sandbox.runCode('1', { context, language: 'python' } as never),
      ).rejects.toBeInstanceOf(sdk.InvalidArgumentError);
      await sandbox.removeCodeContext(context);
    });

    it('a language that Cellhouse does not run is refused', async () => {
      await expect(sandbox.runCode('1', { language: 'java' })).rejects.toThrow(/^400 /);
    });

    it('code that a client gives up is interrupted, and the next code runs', async () => {
      const { ended } = await runningCode(sandbox, LONG, 1_500);
      expect((await ended).error).toBeInstanceOf(sdk.TimeoutError);
      expect((await sandbox.runCode('6 * 7', { timeoutMs: 10_000 })).text).toBe('42');
    });

    it('a cell of bash runs in the home, and its variables end with it', async () => {
      const run = (code: string) => sandbox.runCode(code, { language: 'bash' });
      expect((await run('pwd; CITY=Ulm')).logs.stdout.join('')).toBe('/home/user\n');
      expect((await run('echo "$' + '{CITY:-none}"')).logs.stdout.join('')).toBe('none\n');
    });

    it('connect finds the sandbox by its id, with its variables', async () => {
      await sandbox.runCode('kept = "still here"');
      const again = await sdk.Sandbox.connect(sandbox.sandboxId);
      expect((await again.runCode('kept')).text).toBe('still here');
    });

    it.each(ENVIRONMENTS)('$language reads variables of one execution only', async (row) => {
      const { language, read } = row;
      const CITY = `"it's" $HOME \\`;
      expect(await printed(sandbox, read, { language, envs: { CITY } })).toBe(`${CITY}\n`);
      expect(await printed(sandbox, read, { language })).toBe('none\n');
    });
  });

  it('executionCount counts the cells of the sandbox, and later cells see its variables', async () => {
    const fresh = await sdk.Sandbox.create();
    expect((await fresh.runCode('count = 1')).executionCount).toBe(1);
    const second = await fresh.runCode('count += 1; count');
    expect(second).toMatchObject({ executionCount: 2, text: '2' });
    await fresh.kill();
  });

  it('code of every language reads the variables of its sandbox, unless the execution has its own', async () => {
    const fresh = await sdk.Sandbox.create({ envs: { CITY: 'Bonn' } });
    for (const { language, read } of ENVIRONMENTS) {
      expect(await printed(fresh, read, { language, envs: { CITY: 'Ulm' } })).toBe('Ulm\n');
      expect(await printed(fresh, read, { language })).toBe('Bonn\n');
    }
    expect((await fresh.commands.run('echo $CITY')).stdout).toBe('Bonn\n');
    await fresh.kill();
  });

  describe.each([
    { of: 'a sandbox', options: {} },
    {
      of: 'a sandbox that is to be closed to the public',
      options: { secure: true, network: { allowPublicTraffic: false } },
    },
  ])('contexts of $of', ({ options }) => {
    let own: Sandbox;
    beforeAll(async () => {
      own = await sdk.Sandbox.create(options);
    });
    afterAll(() => own.kill());

    it('there is a python context from the start, and code runs in it', async () => {
      expect((await own.listCodeContexts()).map(({ language }) => language)).toEqual(['python']);
      expect((await own.runCode('x = 1; x')).text).toBe('1');
    });

    it('the newest context is the last of the list, with the language and folder asked for', async () => {
      const plain = await own.createCodeContext();
      expect((await own.listCodeContexts()).at(-1)).toEqual(plain);
      expect(plain).toMatchObject({ language: 'python', cwd: '/home/user' });
      const elsewhere = await own.createCodeContext({ language: 'python', cwd: '/root' });
      expect((await own.listCodeContexts()).at(-1)).toEqual(elsewhere);
      expect(elsewhere.cwd).toBe('/root');
      await own.removeCodeContext(plain.id);
      await own.removeCodeContext(elsewhere);
      const ids = (await own.listCodeContexts()).map(({ id }) => id);
      expect(ids).toHaveLength(1);
      await expect(own.runCode('1', { context: plain })).rejects.toBeInstanceOf(sdk.NotFoundError);
    });

    it('each context has variables of its own, and loses them in a restart', async () => {
      await own.runCode('x = 1');
      const context = await own.createCodeContext({ cwd: '/tmp' });
      const missing = { name: 'NameError', value: "name 'x' is not defined" };
      expect((await own.runCode('x', { context })).error).toMatchObject(missing);
      expect((await own.runCode('import os; x = os.getcwd(); x', { context })).text).toBe('/tmp');
      await own.restartCodeContext(context);
      expect((await own.runCode('x', { context })).error).toMatchObject(missing);
      expect((await own.runCode('x')).text).toBe('1');
      await own.removeCodeContext(context);
    });
  });

  it('killing a sandbox ends its code and commands, and their clients get an error that says so', async () => {
    const fresh = await sdk.Sandbox.create();
    const { ended } = await runningCode(fresh);
    const options = { background: true, timeoutMs: 0 } as const;
    const command = endOf((await fresh.commands.run('sleep 300', options)).wait());
    expect(await fresh.kill()).toBe(true);
    for (const { error } of await Promise.all([ended, command])) {
      expect(error).toBeInstanceOf(sdk.TimeoutError);
      expect(String(error)).toMatch(/killed/);
    }
    expect(await fresh.isRunning()).toBe(false);
    expect(await fresh.kill()).toBe(false);
    await expect(fresh.runCode('1')).rejects.toBeInstanceOf(sdk.TimeoutError);
    await expect(fresh.files.list('.')).rejects.toBeInstanceOf(sdk.TimeoutError);
    await expect(sdk.Sandbox.connect(fresh.sandboxId)).rejects.toBeInstanceOf(
      sdk.SandboxNotFoundError,
    );
  });

  it('the SDK sends code to the URL of the option, else of E2B_SANDBOX_URL, else of the domain', () => {
    const urlOf = (options: object) => {
      const Made = sdk.Sandbox as unknown as new (given: object) => { jupyterUrl: string };
      return new Made({ sandboxId: 'i0', envdVersion: '0.5.7', ...options }).jupyterUrl;
    };
    const { E2B_SANDBOX_URL } = process.env;
    expect(urlOf({})).toBe(E2B_SANDBOX_URL);
    expect(urlOf({ sandboxUrl: 'http://other.test/e2b' })).toBe('http://other.test/e2b');
    delete process.env.E2B_SANDBOX_URL;
    try {
      expect(urlOf({ domain: 'box.test' })).toBe('https://49999-i0.box.test');
    } finally {
      process.env.E2B_SANDBOX_URL = E2B_SANDBOX_URL;
    }
  });
});

/** What code prints to stdout. */
async function printed(sandbox: Sandbox, code: string, options: Cell['options']): Promise<string> {
  const { logs } = await sandbox.runCode(code, options as object);
  return logs.stdout.join('');
}
