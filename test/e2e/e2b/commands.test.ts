/** Commands and terminals, as E2B's own SDK runs them in sandboxes of a real gateway. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../../../testkit/until.ts';
import { E2B_SDKS, type Sandbox, useE2bGateway } from '../../support/e2b/sdks.ts';

useE2bGateway();

describe.each(E2B_SDKS)('$name', ({ sdk }) => {
  let sandbox: Sandbox;
  beforeAll(async () => {
    sandbox = await sdk.Sandbox.create({ envs: { CITY: 'Bonn' } });
  });
  afterAll(() => sandbox.kill());

  it('run gives what a command printed, and its exit code', async () => {
    const told: string[] = [];
    const options = { onStdout: (text: string) => void told.push(text) };
    const done = await sandbox.commands.run('echo "é🧪"; echo no >&2', options);
    expect(done).toMatchObject({ stdout: 'é🧪\n', stderr: 'no\n', exitCode: 0 });
    expect(told.join('')).toBe('é🧪\n');
  });

  it('a command that fails is an error with its output', async () => {
    await expect(sandbox.commands.run('echo out; echo err >&2; exit 3')).rejects.toMatchObject({
      name: 'CommandExitError',
      exitCode: 3,
      stdout: 'out\n',
      stderr: 'err\n',
    });
  });

  it('a command has the variables, the folder and the user that are asked for', async () => {
    const { stdout } = await sandbox.commands.run('echo $CITY $KIND $E2B_SANDBOX; pwd; whoami', {
      cwd: '/tmp',
      envs: { KIND: "it's" },
      user: 'user',
    });
    expect(stdout).toBe("Bonn it's true\n/tmp\nuser\n");
    const nowhere = sandbox.commands.run('true', { cwd: '/not/there' });
    await expect(nowhere).rejects.toThrow(/does not exist/);
    const asRoot = sandbox.commands.run('true', { user: 'root' });
    await expect(asRoot).rejects.toBeInstanceOf(sdk.AuthenticationError);
  });

  it('large output is whole, even if a chunk ends within a character', async () => {
    const { stdout } = await sandbox.commands.run(`python3 -c 'print("aé🧪" * 150_000)'`);
    expect(stdout).toBe(`${'aé🧪'.repeat(150_000)}\n`);
  });

  it('a command in the background is listed, takes input, and ends', async () => {
    const handle = await sandbox.commands.run('read a; read b; echo "$a-$b"; cat; exit 0', {
      background: true,
      stdin: true,
      cwd: '/tmp',
    });
    const listed = (await sandbox.commands.list()).find(({ pid }) => pid === handle.pid);
    expect(listed).toMatchObject({ cmd: '/bin/bash', cwd: '/tmp' });
    expect(listed?.args.slice(0, 2)).toEqual(['-l', '-c']);
    await sandbox.commands.sendStdin(handle.pid, 'one\n');
    await handle.sendStdin('two\nrest');
    await handle.closeStdin();
    expect(await handle.wait()).toMatchObject({ stdout: 'one-two\nrest', exitCode: 0 });
    expect((await sandbox.commands.list()).map(({ pid }) => pid)).not.toContain(handle.pid);
  });

  it('the pid is that of the process', async () => {
    const told: string[] = [];
    const handle = await sandbox.commands.run('echo $$; exec sleep 60', {
      background: true,
      onStdout: (text) => void told.push(text),
    });
    await until('its first line', async () => told.join('') === `${handle.pid}\n`);
    expect(await handle.kill()).toBe(true);
    await expect(handle.wait()).rejects.toMatchObject({ exitCode: -1, error: 'signal: killed' });
    expect(await sandbox.commands.kill(handle.pid)).toBe(false);
  });

  it('a command outlives its connection, and another client can connect to it', async () => {
    const told: string[] = [];
    const handle = await sandbox.commands.run(
      'echo begun; while [ ! -e /tmp/go ]; do sleep 0.1; done; echo "went on"',
      { background: true, timeoutMs: 0, onStdout: (text) => void told.push(text) },
    );
    await until('its beginning', async () => told.join('') === 'begun\n');
    await handle.disconnect();
    const elsewhere = await sdk.Sandbox.connect(sandbox.sandboxId);
    const again = await elsewhere.commands.connect(handle.pid);
    await elsewhere.files.write('/tmp/go', '');
    expect(await again.wait()).toMatchObject({ stdout: 'went on\n', exitCode: 0 });
    await sandbox.files.remove('/tmp/go');
  });

  it('a command is killed at its time limit', async () => {
    const mark = `limit-${Math.random()}`;
    const late = sandbox.commands.run(`exec -a ${mark} sleep 60`, { timeoutMs: 1_000 });
    await expect(late).rejects.toBeInstanceOf(sdk.TimeoutError);
    await until('the end of the process', async () => {
      const { stdout } = await sandbox.commands.run(`pgrep -f '^${mark}' || true`);
      return stdout === '';
    });
  });

  it('a command runs beside a cell', async () => {
    const cell = sandbox.runCode(
      'import os, time\nwhile not os.path.exists("/tmp/beside"): time.sleep(0.05)\n"seen"',
    );
    await sandbox.commands.run('touch /tmp/beside');
    expect((await cell).text).toBe('seen');
    await sandbox.files.remove('/tmp/beside');
  });

  it('a terminal echoes, has the size that it is given, and ends', async () => {
    let screen = '';
    const decoder = new TextDecoder();
    const terminal = await sandbox.pty.create({
      cols: 80,
      rows: 24,
      envs: { KIND: 'terminal' },
      onData: (data) => {
        screen += decoder.decode(data, { stream: true });
      },
    });
    const type = (text: string) =>
      sandbox.pty.sendInput(terminal.pid, new TextEncoder().encode(text));
    const shows = (pattern: RegExp) => until(`${pattern}`, async () => pattern.test(screen));
    await type('stty size; echo "$KIND $TERM"\n');
    await shows(/^24 80\r$/m);
    await shows(/^terminal xterm-256color\r$/m);
    await sandbox.pty.resize(terminal.pid, { cols: 100, rows: 30 });
    await type('stty size\n');
    await shows(/^30 100\r$/m);
    await type('exit 0\n');
    expect((await terminal.wait()).exitCode).toBe(0);
    const other = await sandbox.pty.create({ cols: 80, rows: 24, onData: () => undefined });
    expect(await sandbox.pty.kill(other.pid)).toBe(true);
    await expect(other.wait()).rejects.toThrow();
  });
});
