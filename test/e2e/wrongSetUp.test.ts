/** When a gateway cannot start, the operator gets a clear message with the cause and the remedy, and exit code 1. */
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OWN_SERVER, startTestGateway, type TestGateway } from '../../testkit/gateway.ts';
import { runCli } from '../../testkit/runCli.ts';

let running: TestGateway;
let folder: string;
/** The settings of a second installation, which never serves. */
let env: Record<string, string>;
beforeAll(async () => {
  running = await startTestGateway({ ...OWN_SERVER, MIN_IDLE_WORKERS: '0' });
  folder = mkdtempSync(join(tmpdir(), 'ch-e2e-'));
  env = { ...running.env, DATA_DIR: join(folder, 'data'), SOCKET_DIR: join(folder, 's') };
});
afterAll(async () => {
  await runCli(['down'], env);
  rmSync(folder, { recursive: true, force: true });
  await running.destroy();
});

/** The operator's message from a start that must fail, without log lines or a stack trace. */
async function failedStart(settings: Record<string, string>): Promise<string> {
  const { code, output } = await runCli(['serve'], { ...env, ...settings });
  expect(code).toBe(1);
  expect(output).not.toMatch(/^\s+at /m);
  return output
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('{'))
    .join('\n');
}

it.each([
  { command: 'npm start', path: '../../scripts/start.mjs', more: [] },
  { command: 'cellhouse start', path: '../../dist/cli.js', more: ['start'] },
])(
  '$command names the address at which no Docker engine answers, if the installation has never served',
  async (given) => {
    const script = new URL(given.path, import.meta.url).pathname;
    const settings = {
      DATA_DIR: join(folder, 'none'),
      DOCKER_HOST: `unix://${folder}/nobody.sock`,
    };
    const started = promisify(execFile)(process.execPath, [script, ...given.more], {
      env: { ...env, ...settings },
    });
    const words = `No Docker engine answers at ${folder}/nobody.sock (ENOENT)`;
    await expect(started).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining(words),
    });
    expect(existsSync(settings.DATA_DIR)).toBe(false);
  },
);

describe('cellhouse serve', () => {
  it('lists every problem of the configuration at once', async () => {
    const message = await failedStart({
      PORT: '70000',
      MIN_IDLE_WORKERS: 'two',
      WORKER_MEMORY_MB: '1',
      DOCKER_HOST: 'tcp://10.0.0.1:2375',
      LOG_LEVEL: 'loud',
      WORKER_IMAGE: '',
    });
    const [heading, ...problems] = message.split('\n');
    expect(heading).toBe('The configuration has 6 problem(s):');
    expect(problems.map((line) => /^- (\w+) is /.exec(line)?.[1]).sort()).toEqual([
      'DOCKER_HOST',
      'LOG_LEVEL',
      'MIN_IDLE_WORKERS',
      'PORT',
      'WORKER_IMAGE',
      'WORKER_MEMORY_MB',
    ]);
  });

  it('never shows a secret, right or wrong', async () => {
    const message = await failedStart({
      AUTH_TOKEN: 'not a token',
      DATABASE_URL: 'mysql://u:hunter2@host/db',
    });
    expect(message).toContain('AUTH_TOKEN is (not shown)');
    expect(message).toContain('DATABASE_URL');
    expect(message).not.toMatch(/not a token|hunter2/);
  });

  it('says which process owns the data directory', async () => {
    const message = await failedStart({ DATA_DIR: running.dataDir });
    expect(message.split('\n')).toHaveLength(1);
    expect(message).toContain(running.dataDir);
    expect(message).toContain(`process ${running.pid}`);
  });

  it('the message names the address at which no Docker engine answers', async () => {
    const message = await failedStart({ DOCKER_HOST: `unix://${folder}/nobody.sock` });
    expect(message).toContain(`The Docker engine at ${folder}/nobody.sock does not answer`);
    expect(message).toContain('DOCKER_HOST');
  });

  it('says that the engine does not have the runtime, and lists those that it has', async () => {
    const message = await failedStart({ DOCKER_RUNTIME: 'no-such-runtime' });
    expect(message).toMatch(/DOCKER_RUNTIME is no-such-runtime, but .* has only: .*\brunc\b/);
    expect(message).toContain('node scripts/setup-runsc.mjs');
  });

  it('the message names the address at which no database answers', async () => {
    const message = await failedStart({ DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none' });
    expect(message).toContain('PostgreSQL could not be reached');
    expect(message).toContain('DATABASE_URL');
    expect(message).toContain('127.0.0.1:1');
  });

  it('says which process uses the port', async () => {
    const message = await failedStart({ PORT: String(running.port) });
    expect(message).toContain(
      `Port ${running.port} on 127.0.0.1 is in use by process ${running.pid} (`,
    );
  });
});

it('a failing start does not affect the running gateway', async () => {
  expect((await running.graphql('{ poolStatus { totalWorkers } }')).errors).toBeUndefined();
});

it('callers learn that no worker can be started, and the operator why', async () => {
  const image = 'cellhouse-no-such-image:1';
  const gateway = await startTestGateway({ WORKER_IMAGE: image });
  try {
    const { errors } = await gateway.graphql(
      `mutation { execute(input: { userUuid: "ann", code: "1", waitForWorkerMs: 2000 }) { id } }`,
    );
    expect(errors).toMatchObject([
      {
        message: expect.stringContaining('in the log'),
        extensions: { code: 'WORKER_START_FAILED', retryAfterMs: expect.any(Number) },
      },
    ]);
    expect(gateway.log()).toContain(`The worker image ${image} does not exist`);
  } finally {
    await gateway.destroy();
  }
});
