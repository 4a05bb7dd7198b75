/** Runs `npm start` and `npm stop` as README.md says, in this folder but with its own DATA_DIR and port. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../../testkit/until.ts';
import { commandOf, readPage } from '../support/userPages.ts';

const ROOT = new URL('../../', import.meta.url).pathname;
const README = readPage('README.md');
const START_LIMIT_MS = 100_000;

let folder: string;
let env: NodeJS.ProcessEnv;
let started: ChildProcess;
let printed = '';
let url: string;
/** Asks the started server, and gives the text of its answer. */
let ask: (path: string, query?: string) => Promise<string>;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ch-readme-'));
  const { AUTH_TOKEN, DATABASE_URL, ...rest } = process.env;
  env = {
    ...rest,
    DATA_DIR: join(folder, 'data'),
    SOCKET_DIR: join(folder, 's'),
    PORT: '0',
    MIN_IDLE_WORKERS: '1',
  };
});
afterAll(async () => {
  // Nothing may be left, even if a test failed before.
  await promisify(execFile)(process.execPath, ['dist/cli.js', 'down'], { cwd: ROOT, env });
  rmSync(folder, { recursive: true });
});

describe('the README', () => {
  it('starts the server with a command that says where the server and a working token are', async () => {
    const start = commandOf('README.md', 'npm start');
    expect(commandOf('docs/run/install.md', 'npm start')).toBe(start);
    const [program = '', ...words] = start.split(' ');
    started = spawn(program, words, { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'inherit'] });
    started.stdout?.setEncoding('utf8').on('data', (text: string) => {
      printed += text;
    });
    const [, at = '', file = ''] = await until(
      'both lines',
      async () => {
        if (started.exitCode !== null) throw new Error(`It ended: ${printed}`);
        return /^Cellhouse serves (\S+)\/graphql$[\s\S]*^The token is in (\S+)$/m.exec(printed);
      },
      START_LIMIT_MS,
    );
    url = at;
    expect(README).toContain('Cellhouse serves http://127.0.0.1:3874/graphql\nThe token is in /');
    const token = readFileSync(file, 'utf8').trim();
    ask = async (path, query) => {
      const headers = { 'Content-Type': 'application/json', 'X-Auth-Token': token };
      const sent = query && { method: 'POST', body: JSON.stringify({ query }) };
      return await (await fetch(url + path, { headers, ...sent })).text();
    };
    const run = 'mutation { execute(input: { userUuid: "new", code: "1 + 1" }) { resultText } }';
    expect(JSON.parse(await ask('/graphql', run))).toEqual({
      data: { execute: { resultText: '2' } },
    });
  });

  it('starts a server that reports its version wherever docs/run/install.md says', async () => {
    const cli = await promisify(execFile)(process.execPath, ['dist/cli.js', '--version'], {
      cwd: ROOT,
      env,
    });
    const version = cli.stdout.trim();
    expect(version).toBe(JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8')).version);
    const [line = ''] = /^\{.+"the gateway starts"\}$/m.exec(printed) ?? [];
    expect(JSON.parse(line)).toMatchObject({ version });
    expect(JSON.parse(await ask('/livez'))).toEqual({ status: 'ok', version });
    expect(JSON.parse(await ask('/graphql', '{ version }'))).toEqual({ data: { version } });
    expect(await ask('/metrics')).toContain(`cellhouse_build_info{version="${version}"} 1\n`);
  });

  it('starts a server whose health docs/run/monitoring.md says how to ask for', async () => {
    const here = { 'http://127.0.0.1:3874': url };
    const curl = commandOf('docs/run/monitoring.md', 'curl ', here);
    const { stdout } = await promisify(execFile)('sh', ['-c', curl]);
    expect(JSON.parse(stdout)).toMatchObject({ status: 'ready' });
  });

  it('stops everything', async () => {
    const ended = once(started, 'exit');
    const [program = '', ...words] = commandOf('README.md', 'npm stop').split(' ');
    const { stdout } = await promisify(execFile)(program, words, { cwd: ROOT, env });
    expect(stdout).toMatch(/Cellhouse is down: no session, no container, no database process/);
    expect(await ended).toEqual([0, null]);
  });
});
