/** The answers of a real gateway, parsed as strictly as E2B's SDK for Python parses them. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../../../testkit/until.ts';
import {
  createPythonWire,
  isoparse,
  type PythonSandbox,
  popped,
  splitLines,
} from '../../support/e2b/pythonWire.ts';
import { gateway, key, useE2bGateway } from '../../support/e2b/sdks.ts';

useE2bGateway();

/** The body that the SDK sends if its caller gives no options. */
const NOTHING_ASKED = {
  templateID: 'code-interpreter-v1',
  timeout: 300,
  autoPause: false,
  secure: true,
  allow_internet_access: true,
  metadata: {},
  envVars: {},
  mcp: null,
};
const KILLED = { message: expect.any(String), code: 502 };

let wire: ReturnType<typeof createPythonWire>;
let sandbox: PythonSandbox;
beforeAll(async () => {
  wire = createPythonWire(gateway, key);
  sandbox = await created('/v2/sandboxes', NOTHING_ASKED);
});
afterAll(() => wire.control('DELETE', `/sandboxes/${sandbox.sandboxID}`));

/** Expects status 201, since the SDK takes no other for success. */
async function created(path: string, body: object): Promise<PythonSandbox> {
  const { status, json } = await wire.control('POST', path, body);
  expect([status, json]).toEqual([201, expect.any(Object)]);
  const fields = popped(json, 'templateID', 'sandboxID', 'clientID', 'envdVersion');
  expect(fields.envdVersion).toMatch(/^\d+\.\d+\.\d+$/);
  return json as PythonSandbox;
}

describe('the control plane', () => {
  it.each(['/sandboxes', '/v2/sandboxes'])(
    '%s: every answer about a sandbox, from its creation to its end, has all keys',
    async (path) => {
      const nulls = { autoPauseMemory: null, autoResume: null, network: null, volumeMounts: null };
      const own = await created(path, { ...NOTHING_ASKED, ...nulls, iam: null, timeout: 60 });
      const at = `/sandboxes/${own.sandboxID}`;
      const connected = await wire.control('POST', `${path}/${own.sandboxID}/connect`, {
        timeout: 60,
      });
      expect(connected.status).toBe(200);
      expect(popped(connected.json, 'templateID', 'clientID', 'envdVersion')).toMatchObject({
        sandboxID: own.sandboxID,
        envdAccessToken: own.envdAccessToken,
        trafficAccessToken: own.trafficAccessToken,
      });

      const detail = await wire.control('GET', at);
      expect(detail.status).toBe(200);
      listed(detail.json);
      const list = await wire.control('GET', '/v2/sandboxes?state=running%2Cpaused');
      expect(list.status).toBe(200);
      expect((list.json as unknown[]).map((item) => listed(item).sandboxID)).toContain(
        own.sandboxID,
      );

      const metrics = await wire.control('GET', `${at}/metrics`);
      expect(metrics.status).toBe(200);
      for (const metric of metrics.json as object[]) {
        isoparse(popped(metric, 'timestamp').timestamp);
        const figures = ['timestampUnix', 'cpuCount', 'cpuUsedPct', 'memUsed', 'memTotal'] as const;
        popped(metric, ...figures, 'memCache', 'diskUsed', 'diskTotal');
      }
      const statusOf = async (method: string, below: string, body?: object) =>
        (await wire.control(method, `${at}${below}`, body)).status;
      expect(await statusOf('POST', '/timeout', { timeout: 30 })).toBe(204);
      expect(await statusOf('POST', '/refreshes', { duration: 60 })).toBe(204);
      expect(await statusOf('DELETE', '')).toBe(204);
      const gone = await wire.control('DELETE', at);
      expect([gone.status, gone.json]).toEqual([404, { code: 404, message: expect.any(String) }]);
    },
  );

  it('the body of an error has the HTTP status as a number, and a message', async () => {
    const nobody = createPythonWire(gateway, `e2b_${'1'.repeat(40)}`);
    const answers = await Promise.all([
      nobody.control('POST', '/sandboxes', NOTHING_ASKED),
      wire.control('POST', '/sandboxes', { ...NOTHING_ASKED, timeout: 0 }),
      wire.control('POST', '/sandboxes', { ...NOTHING_ASKED, autoPause: true }),
      wire.control('POST', '/sandboxes', { ...NOTHING_ASKED, templateID: 'nobody-built-it' }),
      wire.control('POST', `/sandboxes/${sandbox.sandboxID}/pause`, {}),
    ]);
    for (const { status, json } of answers)
      expect(json).toEqual({ code: status, message: expect.any(String) });
    expect(answers.map(({ status }) => status)).toEqual([401, 400, 400, 404, 501]);
  });
});

describe('the code interpreter', () => {
  const execute = async (code: string, more: object = {}) =>
    await wire.interpreter(sandbox, 'POST', '/execute', {
      code,
      context_id: null,
      language: null,
      env_vars: null,
      ...more,
    });

  it('events are lines of ASCII, in order, with every key', async () => {
    const code = 'print("a\\u2028b\\u0085c\\v🧪")\nimport sys\nprint("e", file=sys.stderr)\n"é"';
    const { status, text } = await execute(code);
    expect(status).toBe(200);
    expect(text).toMatch(/^[\n\x20-\x7e]*$/);
    const events = splitLines(text).map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(events.map(({ type }) => type)).toEqual([
      'number_of_executions',
      'stdout',
      'stderr',
      'result',
      'end_of_execution',
    ]);
    expect(events).toMatchObject([
      { execution_count: expect.any(Number) },
      { text: 'a\u2028b\u0085c\v🧪\n' },
      { text: 'e\n' },
      { text: 'é', is_main_result: true },
      {},
    ]);
    for (const event of events.slice(1, 3)) isoparse(popped(event, 'text', 'timestamp').timestamp);
  });

  it('the event of an error has its name, value and traceback, without colours', async () => {
    const events = splitLines((await execute('1 / 0')).text).map((line) => JSON.parse(line));
    const { name, value, traceback } = events.find(({ type }) => type === 'error');
    expect([name, value]).toEqual(['ZeroDivisionError', 'division by zero']);
    expect(traceback).toMatch(/1 \/ 0[\s\S]*ZeroDivisionError/);
    expect(traceback).not.toContain('\x1b');
  });

  it('a context is made, restarted and deleted', async () => {
    const call = (method: string, path: string, body?: object) =>
      wire.interpreter(sandbox, method, path, body);
    const { json } = await call('POST', '/contexts', {});
    const { id } = popped(json, 'id', 'language', 'cwd');
    const restarted = await call('POST', `/contexts/${id}/restart`);
    expect([restarted.status, restarted.text]).toEqual([200, 'null']);
    const both = await execute('1', { context_id: id, language: 'python' });
    expect(both.status).toBe(400);
    const deleted = await call('DELETE', `/contexts/${id}`);
    expect([deleted.status, deleted.text]).toEqual([200, 'null']);
    const gone = await execute('1', { context_id: id });
    expect([gone.status, gone.text]).toEqual([404, `Context ${id} not found`]);
  });

  it('every call without a token, or with the token of another sandbox, is refused', async () => {
    const other = await created('/sandboxes', NOTHING_ASKED);
    const { sandboxID } = sandbox;
    for (const caller of [{ sandboxID }, { ...other, sandboxID }]) {
      for (const [method, path] of [
        ['GET', '/contexts'],
        ['POST', '/contexts'],
        ['POST', '/execute'],
      ] as const) {
        const body = method === 'POST' ? { code: '1' } : undefined;
        const { status } = await wire.interpreter(caller, method, path, body);
        expect(status, `${method} ${path}`).toBe(401);
      }
    }
    await wire.control('DELETE', `/sandboxes/${other.sandboxID}`);
  });
});

describe('envd', () => {
  it('the stream of a command has its pid, its output, its end, and a last frame', async () => {
    const { status, messages, end } = await wire.stream(sandbox, 'process.Process/Start', {
      process: { cmd: '/bin/bash', args: ['-l', '-c', 'echo hi; exit 3'], envs: {}, cwd: null },
      stdin: false,
      tag: null,
    });
    expect(status).toBe(200);
    expect(messages).toEqual([
      { event: { start: { pid: expect.any(Number) } } },
      { event: { data: { stdout: Buffer.from('hi\n').toString('base64') } } },
      {
        event: {
          end: { exitCode: 3, exited: true, status: 'exit status 3', error: 'exit status 3' },
        },
      },
    ]);
    expect(end).toEqual({});
    const zero = await wire.stream(sandbox, 'process.Process/Start', {
      process: { cmd: '/bin/bash', args: ['-l', '-c', 'true'] },
    });
    expect(zero.messages.at(-1)).toEqual({
      event: { end: { exitCode: 0, exited: true, status: 'exit status 0' } },
    });
  });

  it('a stream that is refused says so in its last frame, with status 200', async () => {
    const { status, messages, end } = await wire.stream(sandbox, 'process.Process/Connect', {
      process: { pid: 999_999 },
    });
    expect([status, messages]).toEqual([200, []]);
    expect(end).toEqual({ error: { code: 'not_found', message: expect.any(String) } });
  });

  it("a form with a path writes a file, and the file's entry has its size as text", async () => {
    const form = new FormData();
    form.append('file', new Blob(['12345']), 'a.txt');
    const written = await wire.file(sandbox, { path: 'dir/a.txt' }, form);
    expect([written.status, written.json]).toEqual([
      200,
      [{ name: 'a.txt', path: '/home/user/dir/a.txt', type: 'file' }],
    ]);
    expect((await wire.file(sandbox, { path: 'dir/a.txt' })).text).toBe('12345');
    const { json } = await wire.unary(sandbox, 'filesystem.Filesystem/Stat', { path: 'dir/a.txt' });
    const { entry } = popped(json, 'entry');
    expect(entry).toMatchObject({ type: 'FILE_TYPE_FILE', size: '5', mode: 0o644 });
    isoparse(popped(entry, 'modifiedTime', 'permissions', 'owner', 'group').modifiedTime);
    const missing = await wire.file(sandbox, { path: 'not/there' });
    expect([missing.status, missing.json]).toEqual([
      404,
      { code: 404, message: expect.any(String) },
    ]);
  });

  it('a watcher reports the changes when it is asked for its events', async () => {
    const call = async (method: string, body: object) =>
      await wire.unary(sandbox, `filesystem.Filesystem/${method}`, body);
    await call('MakeDir', { path: 'watched' });
    const made = await call('CreateWatcher', { path: 'watched', recursive: false });
    const { watcherId } = popped(made.json, 'watcherId');
    const form = new FormData();
    form.append('file', new Blob(['x']), 'new.txt');
    await wire.file(sandbox, { path: 'watched/new.txt' }, form);
    const seen: unknown[] = [];
    await until('the event', async () => {
      const { json } = await call('GetWatcherEvents', { watcherId });
      seen.push(...((json as { events?: unknown[] }).events ?? []));
      return seen.length > 0;
    });
    expect(seen[0]).toMatchObject({ name: 'new.txt', type: 'EVENT_TYPE_CREATE' });
    expect((await call('RemoveWatcher', { watcherId })).json).toEqual({});
    const gone = await call('GetWatcherEvents', { watcherId });
    expect([gone.status, gone.json]).toMatchObject([404, { code: 'not_found' }]);
  });

  it('an unknown method is unimplemented, and a codec other than JSON is refused', async () => {
    const unknown = await wire.unary(sandbox, 'process.Process/Fly', {});
    expect([unknown.status, unknown.json]).toMatchObject([501, { code: 'unimplemented' }]);
    const proto = await fetch(`${gateway.url}/e2b/process.Process/List`, {
      method: 'POST',
      headers: {
        'Content-Type': 'application/proto',
        'E2b-Sandbox-Id': sandbox.sandboxID,
        'X-Access-Token': sandbox.envdAccessToken,
      },
      body: '',
    });
    expect(proto.status).toBe(415);
  });
});

it('every call to a sandbox that has ended answers 502', async () => {
  const own = await created('/v2/sandboxes', NOTHING_ASKED);
  expect((await wire.health(own)).status).toBe(204);
  await wire.control('DELETE', `/sandboxes/${own.sandboxID}`);
  const gone = { sandboxId: own.sandboxID, ...KILLED };
  const answers = [
    await wire.health(own),
    await wire.interpreter(own, 'GET', '/contexts'),
    await wire.interpreter(own, 'POST', '/execute', { code: '1' }),
    await wire.file(own, { path: 'a' }),
    await wire.unary(own, 'process.Process/List', {}),
  ];
  for (const { status, json } of answers) expect([status, json]).toEqual([502, gone]);
});

/** Checks the keys of an item of a list, or of the details of a sandbox. @returns the item */
function listed(item: unknown): Record<string, unknown> {
  const fields = popped(
    item,
    'templateID',
    'sandboxID',
    'clientID',
    'startedAt',
    'endAt',
    'cpuCount',
    'memoryMB',
    'diskSizeMB',
    'state',
    'envdVersion',
  );
  isoparse(fields.startedAt);
  isoparse(fields.endAt);
  expect(fields.state).toBe('running');
  for (const name of ['cpuCount', 'memoryMB', 'diskSizeMB'] as const)
    expect(Number.isInteger(fields[name]), name).toBe(true);
  return fields;
}
