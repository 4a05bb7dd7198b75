/** Runs the programs in examples/ as the README and the pages for users say. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestGateway, type TestGateway } from '../../testkit/gateway.ts';
import { poolStatus, submit } from '../../testkit/interpreter.ts';
import { workerImage } from '../../testkit/workerImage.ts';
import {
  type ExampleEnd,
  type ExampleOptions,
  environment,
  runExample,
} from '../support/runExample.ts';
import { commandOf, readPage } from '../support/userPages.ts';

const TEN_LINES = Array.from({ length: 10 }, (_, index) => `line ${index}\n`).join('');
const PRINT_SLOWLY =
  "import time\nfor i in range(10):\n    print('line', i)\n    time.sleep(0.3)\n";

let gateway: TestGateway;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cellhouse-example-'));
  gateway = await startTestGateway({ WORKER_IMAGE: workerImage(), MIN_IDLE_WORKERS: '0' });
});
afterAll(async () => {
  await gateway.destroy();
  rmSync(folder, { recursive: true });
});

/** Resolves with the printed text. */
async function run(name: string, ...more: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await runExample(gateway, name, { more });
  expect(stderr).toBe('');
  expect(exitCode).toBe(0);
  return stdout;
}

async function runThroughKill(name: string, options: ExampleOptions = {}): Promise<ExampleEnd> {
  let printed = '';
  let restarted: Promise<void> | null = null;
  const end = await runExample(gateway, name, {
    ...options,
    onText: (piece) => {
      printed += piece;
      options.onText?.(piece);
      if (/line 2\r?\n/.test(printed)) restarted ??= killAndRestart();
    },
  });
  expect(restarted).not.toBeNull();
  await restarted;
  return end;
}

async function killAndRestart(): Promise<void> {
  await gateway.kill('SIGKILL');
  await gateway.restart();
}

/** The commands with which README.md begins: the token, as in docs/use/quickstart.md, and three examples. */
function firstCommands(): string {
  const token = commandOf('README.md', 'export CELLHOUSE_TOKEN=');
  expect(commandOf('docs/use/quickstart.md', 'export CELLHOUSE_TOKEN=')).toBe(token);
  const programs = ['sh', 'node', 'python3'];
  const run = programs.map((program) => commandOf('README.md', `${program} examples/quick.`));
  return [token, ...run].join('\n');
}

describe('the short examples of the README', () => {
  /** The test's folder has only the token's file and the three examples: no package and no other file of ours. */
  it('give their results in a shell, with the printed commands', async () => {
    const examples = new URL('../../examples/', import.meta.url).pathname;
    const clone = join(folder, 'clone');
    mkdirSync(join(clone, '.cellhouse'), { recursive: true });
    cpSync(join(gateway.dataDir, 'auth-token'), join(clone, '.cellhouse/auth-token'));
    for (const name of ['quick.sh', 'quick.mjs', 'quick.py'])
      cpSync(join(examples, name), join(clone, 'examples', name));
    const { CELLHOUSE_TOKEN: _, ...env } = environment(gateway);
    const run = promisify(execFile)('sh', ['-euc', firstCommands()], { cwd: clone, env });
    const { stdout, stderr } = await run;
    expect(stderr).toBe('');
    expect(stdout.split('\n')).toEqual([
      '{"data":{"execute":{"status":"OK","resultText":"42"}}}',
      ...Array.from({ length: 5 }, (_, index) => `line ${index}`),
      "{'status': 'OK', 'resultText': None, 'error': None}",
      "{'status': 'OK', 'resultText': '44', 'error': None}",
      "{'status': 'ERROR', 'resultText': None, 'error': {'name': 'ZeroDivisionError', 'value': 'division by zero'}}",
      '',
    ]);
  });

  it('show output while the code runs', async () => {
    const times: number[] = [];
    const node = await runExample(gateway, 'quick.mjs', { onText: () => times.push(Date.now()) });
    expect(node).toEqual({ exitCode: 0, stderr: '', stdout: expect.stringMatching(/^line 0\n/) });
    // The five lines take two seconds; output sent only at the end would come at once.
    expect(times.at(-1)).toBeGreaterThan((times[0] ?? Number.NaN) + 1_000);
  });

  it.each(['quick.mjs', 'quick.py', 'quick.sh'])(
    '%s says that the token is wrong',
    async (name) => {
      const end = await runExample(gateway, name, { env: { CELLHOUSE_TOKEN: 'wrong' } });
      expect(end.exitCode).not.toBe(0);
      expect(end.stdout + end.stderr).toMatch(/The token is wrong|401/);
    },
  );

  it.each(['quick.mjs', 'quick.py', 'quick.sh'])('%s shows why a call is refused', async (name) => {
    const { data } = await gateway.graphql<{ createToken: { secret: string } }>(
      `mutation { createToken(input: { name: "${name}", role: AUDITOR }) { secret } }`,
    );
    const CELLHOUSE_TOKEN = data?.createToken.secret ?? '';
    const { stdout, stderr } = await runExample(gateway, name, { env: { CELLHOUSE_TOKEN } });
    expect(stdout + stderr).toMatch(/AUDITOR/);
    expect(stderr).not.toContain('TypeError');
  });

  it.each(['quick.mjs', 'quick.py'])('%s ends with the message of a refusal', async (name) => {
    const set = (limit: number | null) =>
      gateway.graphql(`mutation { setQuota(input: {
        tenant: "default", userUuid: "ann", kind: EXECUTIONS_PER_MINUTE, limit: ${limit}
      }) { limit } }`);
    expect(await set(0)).not.toHaveProperty('errors');
    const end = await runExample(gateway, name);
    await set(null);
    expect(end).toMatchObject({ exitCode: 1, stdout: '' });
    expect(end.stderr).toMatch(/executions in a minute/);
    expect(end.stderr).not.toContain('TypeError');
  });

  it.each([
    [
      'a stream',
      'before\n',
      'event: next\ndata: {"data":{"output":{"text":"before\\n"}}}\n\n' +
        'event: next\ndata: {"errors":[{"message":"It has failed."}]}\n\nevent: complete\n\n',
    ],
    ['a stream that is refused', '', '{"errors":[{"message":"It has failed."}]}'],
    [
      'the code',
      '',
      'event: next\ndata: {"data":{"output":{"error":{"name":"E","value":"It has failed."}}}}\n\n' +
        'event: next\ndata: {"data":{"output":{"execution":{"status":"ERROR"}}}}\n\nevent: complete\n\n',
    ],
  ])('quick.mjs ends with the error of %s', async (_what, stdout, answer) => {
    const answers = ['{"data":{"submit":{"id":"1"}}}', answer];
    const server = createServer((_, res) => res.end(answers.shift())).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const env = { CELLHOUSE_URL: `http://127.0.0.1:${port}` };
    const end = await runExample(gateway, 'quick.mjs', { env });
    server.close();
    expect(end).toMatchObject({ exitCode: 1, stdout });
    expect(end.stderr).toContain('It has failed.');
  });
});

describe('the first examples', () => {
  it('work with curl', async () => {
    const answers = (await run('execute.sh')).trim().split('\n');
    expect(answers.map((line) => JSON.parse(line) as unknown)).toEqual([
      { data: { execute: { status: 'OK', resultText: null, error: null } } },
      { data: { execute: { status: 'OK', resultText: '200\n', error: null } } },
      { data: { release: { released: true } } },
    ]);
  });

  it('run shell commands with curl', async () => {
    const answers = (await run('command.sh')).trim().split('\n');
    const failed = { status: 'ERROR', exitCode: 3, stdout: '', error: { value: 'exit code 3' } };
    expect(answers.map((line) => JSON.parse(line) as unknown)).toEqual([
      { data: { execute: { status: 'OK', exitCode: 0, stdout: '3 2 1\n', error: null } } },
      { data: { execute: failed } },
      { data: { release: { released: true } } },
    ]);
  });

  it('give a shell in a terminal, even if the gateway is killed while a line is typed', async () => {
    const typed = new PassThrough();
    typed.write("bind 'set enable-bracketed-paste off'; stty -echo; PS1=\n");
    typed.write('for i in $(seq 0 9); do echo line $i; sleep 0.3; done\n');
    // The terminal may echo this line, so the line must not contain the prompt as the shell prints it.
    typed.write('read -p "your"" name? " name\n');
    const end = await runThroughKill('terminal.mjs', {
      input: typed,
      onText: (piece) => {
        if (piece.includes('line 2')) typed.write('mia\n');
        if (piece.includes('your name?')) typed.end('echo hello, $name; exit 7\n');
      },
    });
    expect(end).toMatchObject({ exitCode: 7, stderr: '' });
    const printed = end.stdout.replaceAll('\r\n', '\n');
    expect(printed).toContain(`${TEN_LINES}your name? hello, mia\n`);
  });

  it('work with Python alone', async () => {
    const file = join(folder, 'chart.png');
    expect(await run('execute.py', file)).toBe(
      "200\nERROR name 'b' is not defined after 'before\\n'\na chart: PNG\n",
    );
    expect(readFileSync(file).subarray(1, 4).toString()).toBe('PNG');
  });

  it('work with Node, even if the gateway is killed during the output', async () => {
    const end = await runThroughKill('execute.mjs');
    expect(end).toEqual({ exitCode: 0, stdout: `${TEN_LINES}OK\n`, stderr: '' });
  });
});

describe('files in and out', () => {
  it('work with curl', async () => {
    const printed = (await run('files.sh')).trim().split('\n');
    const [executed = '', zip, ...rest] = printed;
    expect(JSON.parse(executed)).toEqual({
      data: {
        execute: {
          status: 'OK',
          files: { changes: [{ change: 'CREATED', path: 'data/prices.xlsx' }] },
        },
      },
    });
    expect(zip).toBe('PK is how a zip file begins, and so an .xlsx file');
    expect(rest).toEqual(['prices.csv', 'prices.xlsx', '{"data":{"release":{"released":true}}}']);
  });

  it('work with Node, for paths of a table and a chart that the caller names', async () => {
    const [table, chart] = [join(folder, 'a table.csv'), join(folder, 'a chart.png')];
    writeFileSync(table, 'x,y\n1,2\n3,1\n');
    const printed = await run('files.mjs', table, chart);
    expect(printed).toBe(`CREATED chart.png\n${chart} is a chart of ${table}\n`);
    expect(readFileSync(chart).subarray(1, 4).toString()).toBe('PNG');
  });

  it('work with Python alone, for a large table', async () => {
    const [table, summary] = [join(folder, 'large.csv'), join(folder, 'summary.xlsx')];
    const row = '12345,67890\n';
    writeFileSync(table, `a,b\n${row.repeat(500_000)}`);
    const printed = await run('files.py', table, summary);
    expect(printed).toMatch(
      /^500000 rows\nsummary\.xlsx \d+ bytes\ntable\.csv 6000004 bytes\nwritten: /,
    );
    expect(readFileSync(summary).subarray(0, 2).toString()).toBe('PK');
  });

  it.each(['files.mjs', 'files.py', 'files.sh'])(
    '%s says that the token is wrong',
    async (name) => {
      const end = await runExample(gateway, name, { env: { CELLHOUSE_TOKEN: 'wrong' } });
      expect(end.exitCode).not.toBe(0);
      expect(end.stdout + end.stderr).toMatch(/UNAUTHENTICATED|401/);
    },
  );
});

describe.each([['follow.mjs'], ['follow.py']])('%s', (name) => {
  it('shows each line once, even if the gateway is killed during the output', async () => {
    const { id } = await submit(gateway, `user-of-${name}`, PRINT_SLOWLY);
    const end = await runThroughKill(name, { words: { EXECUTION_ID: id } });
    expect(end).toEqual({ exitCode: 0, stdout: `${TEN_LINES}OK\n`, stderr: '' });
  });

  it('ends with an error if there is nothing to follow or the token is wrong', async () => {
    const unknown = await runExample(gateway, name, { words: { EXECUTION_ID: 'nothing' } });
    expect(unknown.exitCode).toBe(1);
    expect(unknown.stderr).toContain('There is no execution "nothing".');
    const refused = await runExample(gateway, name, { env: { CELLHOUSE_TOKEN: 'wrong' } });
    expect(refused.exitCode).toBe(1);
    expect(refused.stderr).toContain('4403');
  });
});

describe('the chat', () => {
  it("gives the model its code's text, errors and pictures, and releases the session", async () => {
    const before = (await poolStatus(gateway)).busyWorkers;
    const printed = await run('chat.py', folder);
    expect(printed).toMatch(/I add the quarters up\.\n>>> import pandas as pd\n[\s\S]*\n44\n/);
    expect(printed).toContain(">>> sales['Q4']\nKeyError: 'Q4'\n");
    expect(printed).toMatch(/\n\[a picture\]\n44 in all, and the second quarter was the best\.\n$/);
    const pictures = readdirSync(folder).filter((file) => file.startsWith('chat-'));
    expect(pictures).toEqual(['chat-call_3.png']);
    expect(readFileSync(join(folder, 'chat-call_3.png')).subarray(1, 4).toString()).toBe('PNG');
    expect((await poolStatus(gateway)).busyWorkers).toBe(before);
  });
});

describe('the load generator', () => {
  it('makes the given number of calls, and counts how they ended', async () => {
    const printed = await run('load.mjs');
    const [, users, rate, seconds] =
      /load\.mjs --users (\d+) --rate (\d+) --seconds (\d+)$/m.exec(pageOfLoad()) ?? [];
    const calls = Number(rate) * Number(seconds);
    expect(printed).toMatch(new RegExp(`^${users} sessions in \\d+ ms\n${calls} calls in `));
    expect(printed).toMatch(/\n[\d.]+ OK\/s, p50 [\d.]+ ms, p95 [\d.]+ ms, p99 [\d.]+ ms\n/);
    expect(printed).toMatch(new RegExp(`\nOK: ${calls}\n$`));
  });

  it('counts refusals by code', async () => {
    const printed = await run('load.mjs', '--seconds', '1', '--code', '');
    expect(printed).toMatch(/\n0\.0 OK\/s, p50 - ms, p95 - ms, p99 - ms\nBAD_USER_INPUT: \d+\n$/);
  });
});

function pageOfLoad(): string {
  return readPage('docs/use/interfaces.md');
}
