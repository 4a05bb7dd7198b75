/** Shell commands with real workers: what they share with cells, how they end, and how other gateways adopt them. */
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { asRoot } from '../../testkit/asRoot.ts';
import type { TestGateway } from '../../testkit/gateway.ts';
import {
  containerOf,
  createContext,
  execute,
  follow,
  interrupt,
  printed,
  restartKernel,
  runCommand,
  submit,
} from '../../testkit/interpreter.ts';
import {
  gateway,
  gateways,
  installation,
  user,
  useTwoRealGateways,
} from '../support/installation.ts';

useTwoRealGateways();

const BASH = { language: 'BASH' };
const LONG = { timeoutMs: 120_000 };
const MAX_COMMANDS = 16;
const BINARY_BYTES = 100_000;

const run = (code: string, options = {}) => runCommand(gateway, user, code, options);

/** A command that ends once all of `names` have begun, which only works if they run at the same time. */
const meet = (own: string, names: readonly string[]) =>
  `touch met-${own}; until [ -e met-${names.join(' ] && [ -e met-')} ]; do sleep 0.01; done; echo met`;

describe('a command', () => {
  it('has the files and the environment of its session, and the result of its process', async () => {
    await execute(gateway, user, "open('from_cell', 'w').write('cell')");
    expect(await run('cat from_cell; echo shell > from_shell; pwd; id -u')).toMatchObject({
      status: 'OK',
      exitCode: 0,
      signal: null,
      stdout: 'cell/home/user\n64002\n',
    });
    expect(await execute(gateway, user, "open('from_shell').read()")).toMatchObject({
      resultText: "'shell\\n'",
    });
    expect(await run('echo a; echo b >&2; exit 3')).toMatchObject({
      status: 'ERROR',
      exitCode: 3,
      stdout: 'a\n',
      stderr: 'b\n',
      error: { name: 'CommandFailed', value: 'exit code 3' },
    });
    expect(await run('kill -9 $$')).toMatchObject({ exitCode: null, signal: 'SIGKILL' });
    expect(await run('if')).toMatchObject({ status: 'ERROR', exitCode: 2 });
    expect(await run('x'.repeat(131_071))).toMatchObject({ status: 'ERROR', exitCode: 127 });
  });

  it('ends with OutOfMemory if it was killed because memory ran out, and only then', async () => {
    await execute(gateway, user, 'kept = 1');
    const fill = `python3 -c 'bytearray(1_500_000_000)'`;
    expect(await run(`exec ${fill}`)).toMatchObject({
      status: 'ERROR',
      exitCode: null,
      signal: 'SIGKILL',
      stateLost: false,
      error: { name: 'OutOfMemory', value: 'The memory limit was reached; the command was killed' },
    });
    expect(await run('kill -9 $$')).toMatchObject({ error: { name: 'CommandFailed' } });
    expect(await run(`${fill}; echo $?`)).toMatchObject({ status: 'OK', stdout: '137\n' });
    expect(await execute(gateway, user, 'kept')).toMatchObject({ resultText: '1' });
  });

  it('runs beside kernels and other commands, and survives restarts and deaths of kernels', async () => {
    const { id: contextId } = await createContext(gateway, user);
    const names = ['cell', 'context', 'one', 'two'];
    const cell = (own: string) =>
      `import subprocess\nsubprocess.check_output(['bash', '-c', ${JSON.stringify(meet(own, names))}], text=True)`;
    const met = await Promise.all([
      execute(gateway, user, cell('cell')),
      execute(gateway, user, cell('context'), { contextId }),
      run(meet('one', names)),
      run(meet('two', names)),
    ]);
    expect(met.map(({ status }) => status)).toEqual(['OK', 'OK', 'OK', 'OK']);
    const beside = await submit(gateway, user, 'sleep 3; echo done', { ...LONG, ...BASH });
    await restartKernel(gateway, user);
    await execute(gateway, user, 'import os; os.kill(os.getpid(), 9)');
    const outputs = await follow(gateway.socket(), beside.id);
    expect(outputs).toMatchObject([
      { text: 'done\n' },
      { execution: { status: 'OK', stateLost: false } },
    ]);
  });

  it(`waits only while ${MAX_COMMANDS} other commands run`, async () => {
    const ids: string[] = [];
    for (let n = 0; n < MAX_COMMANDS + 2; n += 1) {
      const code = `echo begin; until [ -e go ]; do sleep 0.05; done`;
      ids.push((await submit(gateways[n % 2] ?? gateway, user, code, { ...LONG, ...BASH })).id);
    }
    const running = async () => {
      const query = `query ($user: String!) { executions(userUuid: $user, statuses: [RUNNING], first: 100) { edges { node { id } } } }`;
      const { data } = await gateway.graphql<{ executions: { edges: readonly unknown[] } }>(query, {
        user,
      });
      return data?.executions.edges.length;
    };
    await expect.poll(running, { timeout: 30_000 }).toBe(MAX_COMMANDS);
    await execute(gateway, user, "open('go', 'w').close()");
    for (const id of ids) {
      const outputs = await follow(gateway.socket(), id);
      expect(outputs.at(-1)).toMatchObject({ execution: { status: 'OK' } });
    }
  });

  it('ends at its limit and at an interrupt, with all processes that it has started', async () => {
    const deaf = "trap '' INT TERM; sleep 1000 & setsid sleep 1001 & while :; do :; done";
    expect(await run(deaf, { timeoutMs: 300 })).toMatchObject({
      status: 'TIMEOUT',
      signal: 'SIGKILL',
      stateLost: false,
    });
    const { id } = await submit(gateway, user, 'sleep 1002 & echo begun; wait', {
      ...LONG,
      ...BASH,
    });
    for await (const _ of gateway.socket().iterate({
      query: `subscription { output(executionId: "${id}") { seq } }`,
    }))
      break;
    expect(await interrupt(gateway, id)).toBe('INTERRUPTED');
    const left = await run("ps -eo args | grep -c '[s]leep 100'");
    expect(left).toMatchObject({ stdout: '0\n', exitCode: 1 });
  });

  it('tells the id of its process, and is ended at once by SIGKILL', async () => {
    const code = "trap '' INT TERM; echo $$; while :; do sleep 0.1; done";
    const { id } = await submit(gateway, user, code, { ...LONG, ...BASH });
    for await (const _ of gateway.socket().iterate({
      query: `subscription { output(executionId: "${id}") { seq } }`,
    }))
      break;
    const { data } = await gateway.graphql<{ interrupt: { pid: number } }>(
      'mutation ($id: ID!) { interrupt(input: { executionId: $id, signal: SIGKILL }) { status signal pid stdout } }',
      { id },
    );
    const pid = data?.interrupt.pid;
    const killed = { status: 'INTERRUPTED', signal: 'SIGKILL', pid: expect.any(Number) };
    expect(data?.interrupt).toEqual({ ...killed, stdout: `${pid}\n` });
  });

  it('has every byte in its output, even if the output is not text', async () => {
    const { id } = await submit(
      gateway,
      user,
      `head -c ${BINARY_BYTES} /dev/urandom | tee copy`,
      BASH,
    );
    const query = `subscription { output(executionId: "${id}") { ... on StreamOutput { text base64 } } }`;
    const pieces: Buffer[] = [];
    for await (const { data } of gateway
      .socket()
      .iterate<{ output: { text?: string; base64?: string | null } }>({ query })) {
      const { text, base64 } = data?.output ?? {};
      if (text !== undefined)
        pieces.push(base64 ? Buffer.from(base64, 'base64') : Buffer.from(text));
    }
    const sum = createHash('sha256').update(Buffer.concat(pieces)).digest('hex');
    expect((await run('sha256sum copy')).stdout).toContain(sum);
  });
});

it('commands of a killed gateway go on at another one, each run once and with all output', async () => {
  const doomed = await installation.start();
  const other = gateways[1];
  const ids: string[] = [];
  for (let n = 0; n < 4; n += 1) {
    const code = `echo run >> ran-${n}; for i in $(seq 1 60); do echo $i; sleep 0.1; done; exit ${n}`;
    ids.push((await submit(doomed, user, code, { ...LONG, ...BASH })).id);
  }
  await doomed.kill('SIGKILL');
  const expected = Array.from({ length: 60 }, (_, index) => `${index + 1}\n`).join('');
  for (const [n, id] of ids.entries()) {
    const outputs = await follow(other.socket(), id);
    expect(outputs.map(({ text = '' }) => text).join('')).toBe(expected);
    const status = n === 0 ? 'OK' : 'ERROR';
    expect(outputs.at(-1)).toMatchObject({ execution: { status, stateLost: false } });
    expect((await runCommand(other, user, `cat ran-${n}`)).stdout).toBe('run\n');
  }
});

it('a server that runs as a command outlives a kernel and two gateways, and an interrupt ends all of it', async () => {
  const serve = 'python3 -u -m http.server 8000 --bind 127.0.0.1';
  const { id } = await submit(gateway, user, serve, { ...LONG, ...BASH });
  await printed(gateway.socket(), id, 1);
  await execute(gateway, user, "open('served', 'w').write('page')");
  const fetched = async (at: TestGateway) => {
    const code =
      "from urllib.request import urlopen as o; o('http://127.0.0.1:8000/served').read()";
    return (await execute(at, user, code)).resultText;
  };
  expect(await fetched(gateway)).toBe("b'page'");
  await restartKernel(gateway, user);
  expect(await fetched(gateway)).toBe("b'page'");
  const [, other] = gateways;
  for (const killed of gateways) {
    await killed.kill('SIGKILL');
    expect(await fetched(killed === other ? gateway : other)).toBe("b'page'");
    await killed.restart();
  }
  const container = await containerOf(gateway, user);
  const ofUser = async () =>
    (await asRoot(container, ['ps', '-wwo', 'args=', '-U', '64002'])).trim();
  expect(await ofUser()).toContain('http.server');
  expect(await interrupt(gateway, id)).toBe('INTERRUPTED');
  // The user's only process now is the kernel.
  expect(await ofUser()).toMatch(/^\S*python3 [^\n]*cellhouse_kernel[^\n]*$/);
  const { error } = await execute(gateway, user, "o('http://127.0.0.1:8000/served')");
  expect(error).toMatchObject({ name: 'URLError' });
});
