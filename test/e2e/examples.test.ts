/** The README's examples, run as it prints them. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';

const ROOT = new URL('../../', import.meta.url).pathname;
const PAGES = ['README.md', 'docs/api.md']
  .map((page) => readFileSync(join(ROOT, page), 'utf8'))
  .join('\n');

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway();
});
afterAll(() => gateway.destroy());

/** The README's command that runs an example, as words. */
function commandOf(name: string): string[] {
  const command = new RegExp(`^\\w+ examples/${name}$`, 'm').exec(PAGES)?.[0];
  if (command === undefined) throw new Error(`No page says how to run ${name}.`);
  return command.split(' ');
}

function environment(): NodeJS.ProcessEnv {
  return {
    PATH: process.env.PATH,
    CELLHOUSE_URL: gateway.url,
    CELLHOUSE_TOKEN: gateway.token,
    PYTHONIOENCODING: 'utf-8',
  };
}

async function run(name: string, ...more: string[]): Promise<string> {
  const [program = '', ...words] = commandOf(name);
  const options = { cwd: ROOT, env: environment() };
  const { stdout } = await promisify(execFile)(program, [...words, ...more], options);
  return stdout;
}

describe('the examples', () => {
  it('work with curl', async () => {
    const answers = (await run('execute.sh')).trim().split('\n');
    expect(answers.map((line) => JSON.parse(line) as unknown)).toEqual([
      { data: { execute: { status: 'OK', resultText: null, error: null } } },
      { data: { execute: { status: 'OK', resultText: '200\n', error: null } } },
      { data: { release: { released: true } } },
    ]);
  });

  it('work with Python alone', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'cellhouse-example-'));
    try {
      const file = join(folder, 'chart.png');
      expect(await run('execute.py', file)).toBe(
        "200\nERROR name 'b' is not defined after 'before\\n'\na chart: PNG\n",
      );
      expect(readFileSync(file).subarray(1, 4).toString()).toBe('PNG');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it.each([
    ['Node', 'execute.mjs'],
    ['Python', 'follow.py'],
  ])(
    'work with %s, also when the gateway is killed while output comes',
    async (_language, name) => {
      const [program = '', ...words] = commandOf(name);
      const child = spawn(program, words, {
        cwd: ROOT,
        env: environment(),
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const closed = once(child, 'close');
      let printed = '';
      let restarted: Promise<void> | null = null;
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        printed += text;
        if (printed.includes('line 2\n')) restarted ??= killAndRestart();
      });
      expect(await closed).toEqual([0, null]);
      await restarted;
      const lines = Array.from({ length: 10 }, (_, index) => `line ${index}\n`).join('');
      expect(restarted).not.toBeNull();
      expect(printed).toBe(`${lines}OK\n`);
    },
  );
});

async function killAndRestart(): Promise<void> {
  await gateway.kill('SIGKILL');
  await gateway.restart();
}
