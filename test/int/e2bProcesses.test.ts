/** Processes in a sandbox of E2B's door, with a real worker, at the gateway that holds it and at another one. */
import { beforeAll, describe, expect, it } from 'vitest';
import { until } from '../../testkit/until.ts';
import { type ProcessEvent, textOf, useProcesses } from '../support/e2b/envd.ts';

const { service, owner, open } = await useProcesses();
let sandbox: Awaited<ReturnType<typeof open>>;
beforeAll(async () => {
  sandbox = await open({ CITY: 'Bonn' });
});

const wrote = (text: string, name = 'stdout') => {
  let seen = '';
  return ({ data }: ProcessEvent) => {
    seen += Buffer.from(data?.[name] ?? '', 'base64').toString();
    return seen.includes(text);
  };
};
const KILLED = { exitCode: -1, exited: false, status: 'signal: killed', error: 'signal: killed' };
const FINE = { exitCode: 0, exited: true, status: 'exit status 0' };
const SIGKILL = { signal: 'SIGNAL_SIGKILL' };
const base64 = (text: string) => Buffer.from(text).toString('base64');
const other = (at: number) => 1 - at;
const selected = (pid: number) => ({ process: { pid } });

describe.each([0, 1])('at gateway %i', (at) => {
  it('a process reports its id, its output and its end', async () => {
    const code = 'echo $$; echo "$CITY $KIND"; pwd; printf "\\377" >&2; exit 3';
    const process = { cwd: '/tmp', envs: { KIND: 'b c' } };
    const started = await sandbox.shell(at, code, { process });
    const events = await started.rest();
    expect(textOf(events)).toBe(`${started.pid}\nBonn b c\n/tmp\n`);
    expect(events.map(({ data }) => data?.stderr).join('')).toBe('/w==');
    const status = 'exit status 3';
    expect(events.at(-1)).toEqual({ end: { exitCode: 3, exited: true, status, error: status } });
  });

  it('a program runs without a shell, and with its arguments as they are', async () => {
    const process = { cmd: 'printf', args: ['[%s]', "it's", '$HOME', 'a\nb', ''] };
    const events = await (await sandbox.stream(at, 'Start', { process })).rest();
    expect(textOf(events)).toBe("[it's][$HOME][a\nb][]");
    expect(events.at(-1)).toEqual({ end: FINE });
  });

  it('a process is refused before it begins if its folder is missing or is a file', async () => {
    const cmd = { cmd: 'true', args: [] };
    for (const [cwd, why] of [
      ['/not/there', 'does not exist'],
      ['/etc/passwd', 'is not a directory'],
    ])
      expect(await sandbox.refused(at, { process: { ...cmd, cwd } })).toEqual({
        code: 'invalid_argument',
        message: `cwd '${cwd}' ${why}`,
      });
    expect(await sandbox.refused(at, { process: { cmd: '' } })).toMatchObject({
      code: 'invalid_argument',
    });
  });

  it('a process is listed with its command, folder, variable names and tag, and is found by its tag', async () => {
    const process = { cmd: 'sleep', args: ['60'], cwd: '/tmp', envs: { SECRET: 'hidden' } };
    const started = await sandbox.stream(at, 'Start', { process, tag: `tag-${at}` });
    const { processes } = (await sandbox.call(other(at), 'List')) as {
      processes: { pid: number }[];
    };
    const listed = processes.find(({ pid }) => pid === started.pid);
    const config = { ...process, envs: { SECRET: '' } };
    expect(listed).toEqual({ pid: started.pid, tag: `tag-${at}`, config });
    const byTag = { process: { tag: `tag-${at}` } };
    expect(await sandbox.call(other(at), 'SendSignal', { ...byTag, ...SIGKILL })).toEqual({});
    expect(await started.rest()).toEqual([{ end: KILLED }]);
    expect(JSON.stringify(await sandbox.call(at, 'List'))).not.toContain(`tag-${at}`);
    const again = { status: 404, code: 'not_found' };
    expect(await sandbox.call(at, 'SendSignal', { ...byTag, ...SIGKILL })).toMatchObject(again);
  });

  it('a process takes input at any gateway, in order, until the input is closed', async () => {
    const started = await sandbox.shell(at, 'read a; echo "<$a>"; cat', { stdin: true });
    const message = selected(started.pid);
    const send = (where: number, text: string) =>
      sandbox.call(where, 'SendInput', { ...message, input: { stdin: base64(text) } });
    expect(await send(at, 'one\n')).toEqual({});
    await started.until(wrote('<one>'));
    const long = `${'x'.repeat(150_000)}é`;
    expect(await send(other(at), long)).toEqual({});
    expect(await sandbox.call(other(at), 'CloseStdin', message)).toEqual({});
    const events = await started.rest();
    expect(textOf(events)).toContain(long);
    expect(events.at(-1)).toEqual({ end: FINE });
  });

  it('a process started without stdin refuses input, and reads end-of-file at once', async () => {
    const started = await sandbox.shell(at, 'cat; echo end; sleep 60');
    await started.until(wrote('end'));
    const message = selected(started.pid);
    const refused = { status: 400, code: 'failed_precondition' };
    for (const input of [{ stdin: base64('a') }, { pty: base64('a') }])
      expect(await sandbox.call(at, 'SendInput', { ...message, input })).toMatchObject(refused);
    const size = { pty: { size: { cols: 80, rows: 24 } } };
    expect(await sandbox.call(at, 'Update', { ...message, ...size })).toMatchObject(refused);
    expect(await sandbox.call(at, 'CloseStdin', message)).toEqual({});
    await sandbox.call(at, 'SendSignal', { ...message, ...SIGKILL });
    expect((await started.rest()).at(-1)).toEqual({ end: KILLED });
  });

  it('a process outlives its connection, and a new connection gets only later output', async () => {
    const go = `/tmp/go-${at}`;
    const code = `echo before; while [ ! -e ${go} ]; do sleep 0.05; done; echo after`;
    const started = await sandbox.shell(at, code);
    await started.until(wrote('before'));
    started.leave();
    const connected = await sandbox.stream(other(at), 'Connect', selected(started.pid));
    expect(connected.pid).toBe(started.pid);
    await service.execute(owner, {
      userUuid: sandbox.userUuid,
      language: 'BASH',
      code: `touch ${go}`,
    });
    const events = await connected.rest();
    expect([textOf(events), events.at(-1)]).toEqual(['after\n', { end: FINE }]);
    const late = await sandbox.stream(at, 'Connect', selected(started.pid));
    expect(await late.rest()).toEqual([{ end: FINE }]);
  });

  it('a time limit of Start kills a process without grace, a time limit of Connect does not kill it', async () => {
    const limited = { 'Connect-Timeout-Ms': '700' };
    const code = "trap '' INT TERM; echo on; while :; do sleep 0.1; done";
    const lasting = await sandbox.shell(at, code);
    const connected = await sandbox.stream(at, 'Connect', selected(lasting.pid), limited);
    const over = { error: expect.objectContaining({ code: 'deadline_exceeded' }) };
    expect((await connected.rest()).at(-1)).toEqual(over);
    const since = performance.now();
    const started = await sandbox.shell(at, code, {}, limited);
    expect((await started.rest()).at(-1)).toEqual(over);
    await until('the end of the process', async () => {
      const found = await service.command(owner, {
        userUuid: sandbox.userUuid,
        pid: started.pid,
      });
      return found?.execution.finishedAt !== null;
    });
    const found = await service.command(owner, { userUuid: sandbox.userUuid, pid: started.pid });
    expect(found?.execution).toMatchObject({ timeoutMs: 700, signal: 'SIGKILL' });
    expect(performance.now() - since).toBeLessThan(5_000);
    expect(JSON.stringify(await sandbox.call(at, 'List'))).toContain(`"pid":${lasting.pid}`);
    await sandbox.call(at, 'SendSignal', { ...selected(lasting.pid), signal: 9 });
    expect((await lasting.rest()).at(-1)).toEqual({ end: KILLED });
  });

  it('a terminal is written to, changes its size, and ends by SIGTERM or SIGKILL', async () => {
    const process = { cmd: '/bin/bash', args: ['-i', '-l'], envs: { TERM: 'xterm-256color' } };
    const pty = { size: { cols: 80, rows: 24 } };
    const started = await sandbox.stream(at, 'Start', { process, pty });
    const message = selected(started.pid);
    const type = (text: string) =>
      sandbox.call(other(at), 'SendInput', { ...message, input: { pty: base64(text) } });
    expect(await type('stty size; echo $TERM\n')).toEqual({});
    await started.until(wrote('24 80\r\nxterm-256color\r\n', 'pty'));
    const size = { cols: 100, rows: 30 };
    expect(await sandbox.call(other(at), 'Update', { ...message, pty: { size } })).toEqual({});
    await type('stty size\n');
    await started.until(wrote('30 100\r\n', 'pty'));
    const stdin = { ...message, input: { stdin: base64('a') } };
    for (const [name, asked] of [
      ['SendInput', stdin],
      ['CloseStdin', message],
    ] as const)
      expect(await sandbox.call(at, name, asked)).toMatchObject({ code: 'failed_precondition' });
    const { processes } = (await sandbox.call(at, 'List')) as { processes: { config: object }[] };
    expect(processes.at(-1)?.config).toMatchObject({ cmd: '/bin/bash', args: ['-i', '-l'] });
    const signal = at === 0 ? 'SIGNAL_SIGTERM' : 'SIGNAL_SIGKILL';
    expect(await sandbox.call(at, 'SendSignal', { ...message, signal })).toEqual({});
    // An interactive shell takes no notice of SIGTERM, and is killed after the grace time.
    expect((await started.rest()).at(-1)).toEqual({ end: KILLED });
  });

  it('a call for a process that does not exist, and a malformed call, are refused', async () => {
    const nobody = selected(2_000_000_000);
    const missing = { status: 404, code: 'not_found' };
    for (const [name, more] of [
      ['SendSignal', SIGKILL],
      ['SendInput', { input: { stdin: '' } }],
      ['CloseStdin', {}],
      ['Update', {}],
    ] as const)
      expect(await sandbox.call(at, name, { ...nobody, ...more })).toMatchObject(missing);
    await expect(sandbox.stream(at, 'Connect', nobody)).rejects.toThrow('not_found');
    expect(await sandbox.call(at, 'SendSignal', SIGKILL)).toMatchObject({ status: 400 });
    await expect(sandbox.stream(at, 'StreamInput', {})).rejects.toThrow('unimplemented');
  });

  it('the end of the sandbox breaks the stream off', async () => {
    const own = await open();
    const started = await own.shell(at, 'echo on; sleep 60');
    await started.until(wrote('on'));
    const broken = expect(started.rest()).rejects.toThrow('terminated');
    await own.kill();
    await broken;
    await expect(own.call(at, 'List')).resolves.toMatchObject({ status: 502 });
  });
});

it('any signal but SIGTERM and SIGKILL is refused, and not sent', async () => {
  const started = await sandbox.shell(0, 'echo on; sleep 60');
  await started.until(wrote('on'));
  const message = selected(started.pid);
  const refused = { status: 501, code: 'unimplemented' };
  for (const signal of ['SIGNAL_UNSPECIFIED', 'SIGNAL_SIGSTOP', 19, undefined])
    expect(await sandbox.call(0, 'SendSignal', { ...message, signal })).toMatchObject(refused);
  expect(await sandbox.call(0, 'SendSignal', { ...message, ...SIGKILL })).toEqual({});
  expect(await started.rest()).toEqual([{ end: KILLED }]);
});
