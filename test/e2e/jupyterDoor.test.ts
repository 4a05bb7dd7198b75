/** Jupyter's wire, spoken by JupyterLab's own client, with a real gateway and real workers. */
import type { Kernel, KernelManager } from '@jupyterlab/services';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startTestGateway, type TestGateway } from '../../testkit/gateway.ts';
import { contextsOf, execute } from '../../testkit/interpreter.ts';
import { type JupyterPlace, services, settingsOf } from '../../testkit/jupyterPlace.ts';
import { until } from '../../testkit/until.ts';
import { jupyterToken, kernelManagerOf, ran, textOf } from '../support/jupyterClient.ts';

const LOOP = 'import time\nprint("begun")\nwhile True: time.sleep(0.01)';
const FIGURE = `
import matplotlib.pyplot as plt
plt.plot([1, 2, 3])
plt.show()`;

let gateway: TestGateway;
let place: JupyterPlace;
const managers: KernelManager[] = [];

beforeAll(async () => {
  gateway = await startTestGateway({ MIN_IDLE_WORKERS: '0' });
});
afterAll(() => gateway?.destroy());
afterEach(async () => {
  for (const manager of managers.splice(0)) {
    await manager.shutdownAll();
    manager.dispose();
  }
});

async function started(): Promise<Kernel.IKernelConnection> {
  const manager = kernelManagerOf(place);
  managers.push(manager);
  return await manager.startNew({ name: 'python3' });
}

/** Another client's connection to the same kernel. */
function alsoTo({ id }: Kernel.IKernelConnection): Kernel.IKernelConnection {
  const manager = kernelManagerOf(place);
  managers.push(manager);
  return manager.connectTo({ model: { id, name: 'python3' } });
}

const api = (path: string, init: RequestInit = {}) =>
  fetch(`${place.url}/api${path}`, {
    ...init,
    headers: { Authorization: `token ${place.token}`, ...init.headers },
  });

describe.each([
  ['one user', 'ann'],
  ['all users of a tenant', null],
] as const)('with a token for %s, JupyterLab', (_whose, userUuid) => {
  beforeAll(async () => {
    place = { url: `${gateway.url}/jupyter`, token: await jupyterToken(gateway, userUuid) };
  });

  it('runs cells, which keep their variables, and shows what they print, give and draw', async () => {
    const kernel = await started();
    const info = await kernel.info;
    expect(info).toMatchObject({ status: 'ok', language_info: { name: 'python' } });
    const first = await ran(kernel, 'a = 6 * 7\nprint("first")');
    expect(first).toMatchObject({ text: 'first\n', reply: { status: 'ok', execution_count: 1 } });
    expect(first.messages.map(({ header }) => header.msg_type)).toEqual([
      'status',
      'execute_input',
      'stream',
      'status',
    ]);
    const second = await ran(kernel, 'a');
    const result = second.messages.find(({ header }) => header.msg_type === 'execute_result');
    expect(result?.content).toMatchObject({ data: { 'text/plain': '42' }, execution_count: 2 });
    const input = second.messages.find(({ header }) => header.msg_type === 'execute_input');
    expect(input?.content).toEqual({ code: 'a', execution_count: 2 });
    const { messages } = await ran(kernel, FIGURE);
    const figure = messages.find(({ header }) => header.msg_type === 'display_data');
    expect(figure?.content).toMatchObject({ data: { 'image/png': expect.any(String) } });
  });

  it('shows an error once, and cells that wait behind it as aborted', async () => {
    const kernel = await started();
    const cells = ['import time; time.sleep(0.5); 1/0', 'print("never")', 'print("never")'];
    const [failed, ...others] = await Promise.all(
      cells.map((code) => ran(kernel, code, { stop_on_error: true })),
    );
    expect(failed?.reply).toMatchObject({ status: 'error', ename: 'ZeroDivisionError' });
    const types = failed?.messages.map(({ header }) => header.msg_type) ?? [];
    expect(types.filter((type) => type === 'error')).toHaveLength(1);
    expect(others.map(({ reply, text }) => [reply.status, text])).toEqual([
      ['aborted', ''],
      ['aborted', ''],
    ]);
    expect(await ran(kernel, 'print("after")')).toMatchObject({ text: 'after\n' });
  });

  it('interrupts a cell, and keeps the variables', async () => {
    const kernel = await started();
    await ran(kernel, 'kept = 1');
    const future = kernel.requestExecute({ code: LOOP });
    const begun = new Promise<void>((resolve) => {
      future.onIOPub = ({ header }) => {
        if (header.msg_type === 'stream') resolve();
      };
    });
    await begun;
    await kernel.interrupt();
    const { content } = await future.done;
    expect(content).toMatchObject({ status: 'error', ename: 'KeyboardInterrupt' });
    expect(await ran(kernel, 'print(kept)')).toMatchObject({ text: '1\n' });
  });

  it('restarts a kernel, whose variables are gone then', async () => {
    const kernel = await started();
    await ran(kernel, 'lost = 1');
    await kernel.restart();
    expect((await ran(kernel, 'lost')).reply).toMatchObject({ ename: 'NameError' });
    expect(await ran(kernel, 'print("fresh")')).toMatchObject({ text: 'fresh\n' });
  });

  it('asks the kernel for completions, help, history, and whether code is complete', async () => {
    const kernel = await started();
    const info = await kernel.info;
    expect(info).toMatchObject({
      implementation: 'ipython',
      language_info: { version: expect.stringMatching(/^3\./) },
    });
    await ran(kernel, 'quantity = 42');
    const code = 'quant';
    const completed = await kernel.requestComplete({ code, cursor_pos: code.length });
    expect(completed.content).toMatchObject({ status: 'ok', cursor_start: 0, cursor_end: 5 });
    expect((completed.content as { matches: string[] }).matches).toContain('quantity');
    const asked = { code: 'len', cursor_pos: 3, detail_level: 0 } as const;
    const { content: inspected } = await kernel.requestInspect(asked);
    expect(inspected).toMatchObject({
      found: true,
      data: { 'text/plain': expect.stringContaining('items') },
    });
    const { content: whole } = await kernel.requestIsComplete({ code: 'for a in b:' });
    expect(whole).toEqual({ status: 'incomplete', indent: '    ' });
    const tail = { hist_access_type: 'tail', n: 1, output: false, raw: true } as const;
    const { content: past } = await kernel.requestHistory(tail as never);
    expect(past).toMatchObject({ status: 'ok', history: [[0, 1, 'quantity = 42']] });
  });

  it('gets no reply to a request of an unknown type, and does not wait for one', async () => {
    const kernel = await started();
    await kernel.info;
    for (const msgType of ['unheard_of_request', 'constructor', '__proto__']) {
      const { clientId: session, username } = kernel;
      const asked = { msgType, channel: 'shell', session, username, content: {} } as const;
      const message = services.KernelMessage.createMessage(asked as never);
      const future = kernel.sendShellMessage(message as never, false);
      const types: string[] = [];
      future.onReply = ({ header }) => void types.push(header.msg_type);
      future.onIOPub = ({ header }) => void types.push(header.msg_type);
      await future.done;
      expect([msgType, ...types]).toEqual([msgType, 'status', 'status']);
    }
  });

  it('gets an empty completion while a cell runs, and does not wait for the cell', async () => {
    const kernel = await started();
    await kernel.info;
    const running = kernel.requestExecute({ code: 'import time; time.sleep(4)' });
    let isOver = false;
    void running.done.then(() => {
      isOver = true;
    });
    await until('the cell runs', async () => (kernel.status === 'busy' ? true : undefined));
    const { content } = await kernel.requestComplete({ code: 'pri', cursor_pos: 3 });
    expect(content).toMatchObject({ status: 'ok', matches: [], cursor_start: 3 });
    expect(isOver).toBe(false);
    await running.done;
  });

  it('runs silent cells and cells outside of the history, and evaluates expressions beside a cell', async () => {
    const kernel = await started();
    const silent = await ran(kernel, 'a = 1; print("seen")', { silent: true });
    expect(silent.messages.map(({ header }) => header.msg_type)).toEqual([
      'status',
      'stream',
      'status',
    ]);
    await ran(kernel, 'a += 1', { store_history: false });
    const { reply } = await ran(kernel, 'a += 1', {
      user_expressions: { good: 'a', bad: 'never' },
    });
    expect(reply).toMatchObject({
      status: 'ok',
      execution_count: 1,
      user_expressions: {
        good: { status: 'ok', data: { 'text/plain': '3' }, metadata: {} },
        bad: { status: 'error', ename: 'NameError' },
      },
    });
  });

  it('answers input()', async () => {
    const kernel = await started();
    const future = kernel.requestExecute({ code: 'name = input("Who? "); print("hello", name)' });
    future.onStdin = (message) => {
      if (services.KernelMessage.isInputRequestMsg(message))
        kernel.sendInputReply(
          { value: `${message.content.prompt}ann`, status: 'ok' },
          message.header,
        );
    };
    let text = '';
    future.onIOPub = (message) => {
      text += textOf([message]);
    };
    expect((await future.done).content).toMatchObject({ status: 'ok' });
    expect(text).toBe('hello Who? ann\n');
  });

  it('sees what another client runs in the same kernel, but not the reply to it', async () => {
    const kernel = await started();
    await kernel.info;
    const watching = alsoTo(kernel);
    await watching.info;
    const seen: string[] = [];
    watching.iopubMessage.connect((_sender, { header }) => void seen.push(header.msg_type));
    const unhandled: string[] = [];
    watching.unhandledMessage.connect(
      (_sender, { header }) => void unhandled.push(header.msg_type),
    );
    await ran(kernel, 'print("for both")');
    await until('all messages at the other client', async () =>
      seen.filter((type) => type === 'status').length >= 2 ? seen : undefined,
    );
    expect(seen.filter((type) => type !== 'status')).toEqual(['execute_input', 'stream']);
    expect(unhandled).toEqual([]);
  });

  it('may disconnect: its cell goes on, and the next client finds the variables', async () => {
    const kernel = await started();
    await ran(kernel, 'n = 0');
    kernel.requestExecute({ code: 'import time; time.sleep(1); n = 1' });
    await until('the cell runs', async () => {
      const model = (await (await api(`/kernels/${kernel.id}`)).json()) as {
        execution_state: string;
      };
      return model.execution_state === 'busy' ? true : undefined;
    });
    kernel.dispose();
    expect(await ran(alsoTo(kernel), 'print(n)')).toMatchObject({ text: '1\n' });
  });

  it('starts, finds, renames and ends sessions', async () => {
    const serverSettings = settingsOf(place);
    const { SessionAPI, KernelAPI } = services;
    const { startSession, updateSession, listRunning, shutdownSession, getSessionModel } =
      SessionAPI;
    const asked = { path: 'a.ipynb', name: 'a', type: 'notebook', kernel: { name: 'python3' } };
    const session = await startSession(asked, serverSettings);
    expect(session).toMatchObject({ path: 'a.ipynb', type: 'notebook' });
    expect(await startSession(asked, serverSettings)).toMatchObject({ id: session.id });
    expect(await listRunning(serverSettings)).toMatchObject([{ id: session.id }]);
    const { id } = session;
    const renamed = await updateSession({ id, path: 'b.ipynb' }, serverSettings);
    expect(renamed).toMatchObject({ path: 'b.ipynb', kernel: { id: session.kernel?.id } });
    const moved = await updateSession({ id, kernel: { name: 'python3' } as never }, serverSettings);
    expect(moved.kernel?.id).not.toBe(session.kernel?.id);
    expect(await getSessionModel(id, serverSettings)).toMatchObject(moved);
    const running = await KernelAPI.listRunning(serverSettings);
    expect(running.map((each) => each.id)).toEqual([moved.kernel?.id]);
    await shutdownSession(id, serverSettings);
    expect(await listRunning(serverSettings)).toEqual([]);
    expect(await KernelAPI.listRunning(serverSettings)).toEqual([]);
  });

  it('gets the status "dead" when a kernel has ended', async () => {
    const kernel = await started();
    await kernel.info;
    const dead = new Promise<void>((resolve) => {
      kernel.statusChanged.connect((_sender, status) => status === 'dead' && resolve());
    });
    expect((await api(`/kernels/${kernel.id}`, { method: 'DELETE' })).status).toBe(204);
    await dead;
    expect((await api(`/kernels/${kernel.id}`)).status).toBe(404);
  });
});

it('A kernel of one user is a context of the session that other doors use, with the same files', async () => {
  place = { url: `${gateway.url}/jupyter`, token: await jupyterToken(gateway, 'bob') };
  await execute(gateway, 'bob', 'a = 1; open("shared", "w").write("x")');
  const kernel = await started();
  expect(await ran(kernel, 'print(open("shared").read())')).toMatchObject({ text: 'x' + '\n' });
  expect((await ran(kernel, 'a')).reply).toMatchObject({ ename: 'NameError' });
});

it('Files can be listed, read, saved, copied, renamed and deleted with a token for one user, and only with that', async () => {
  place = { url: `${gateway.url}/jupyter`, token: await jupyterToken(gateway, 'eve') };
  const { Drive } = services;
  const drive = new Drive({ serverSettings: settingsOf(place) });
  expect(await drive.get('')).toMatchObject({ type: 'directory', content: [] });
  const untitled = await drive.newUntitled({ path: '', type: 'notebook' });
  expect(untitled).toMatchObject({ path: 'Untitled.ipynb', type: 'notebook' });
  expect(await drive.newUntitled({ path: '', type: 'notebook' })).toMatchObject({
    path: 'Untitled1.ipynb',
  });
  const folder = await drive.newUntitled({ path: '', type: 'directory' });
  expect(folder.path).toBe('Untitled Folder');
  const saved = await drive.save('Untitled Folder/é.txt', {
    type: 'file',
    format: 'text',
    content: 'text',
  });
  expect(saved).toMatchObject({ name: 'é.txt', size: 4 });
  const copied = await drive.copy('Untitled Folder/é.txt', 'Untitled Folder');
  expect(copied.path).toBe('Untitled Folder/é-Copy1.txt');
  await drive.rename('Untitled Folder', 'd');
  const kernel = await started();
  const { text } = await ran(kernel, 'import os; print(sorted(os.listdir("d")), os.getcwd())');
  expect(text).toBe("['é-Copy1.txt', 'é.txt'] /home/user\n");
  await ran(kernel, 'open("d/bytes", "wb").write(bytes([255]))');
  expect(await drive.get('d/bytes')).toMatchObject({ format: 'base64', content: '/w==' });
  expect(await drive.get('d/é.txt', { content: true })).toMatchObject({ content: 'text' });
  expect(await drive.get('Untitled.ipynb')).toMatchObject({ content: { nbformat: 4, cells: [] } });
  await drive.delete('Untitled1.ipynb');
  const { content } = await drive.get('');
  expect((content as { path: string }[]).map(({ path }) => path)).toEqual(['Untitled.ipynb', 'd']);
  await expect(drive.get('never')).rejects.toMatchObject({ response: { status: 404 } });
  await expect(drive.rename('d', 'Untitled.ipynb')).rejects.toMatchObject({
    response: { status: 409 },
  });
  await expect(drive.createCheckpoint('d/é.txt')).rejects.toMatchObject({
    response: { status: 501 },
  });
  const url = `${gateway.url}/jupyter`;
  const others = new Drive({
    serverSettings: settingsOf({ url, token: await jupyterToken(gateway, null) }),
  });
  await expect(others.get('')).rejects.toMatchObject({ response: { status: 404 } });
});

it('A user reaches no kernel of another user, and no context that is not a kernel', async () => {
  const token = await jupyterToken(gateway, 'carl');
  place = { url: `${gateway.url}/jupyter`, token: await jupyterToken(gateway, 'dora') };
  const kernel = await started();
  const asCarl = (path: string, init: RequestInit = {}) =>
    fetch(`${gateway.url}/api/kernels${path}`, {
      ...init,
      headers: { Authorization: `token ${token}` },
    });
  expect(await (await asCarl('')).json()).toEqual([]);
  for (const [method, path] of [
    ['GET', ''],
    ['DELETE', ''],
    ['POST', '/interrupt'],
    ['POST', '/restart'],
  ] as const) {
    const { status } = await asCarl(`/${kernel.id}${path}`, { method });
    expect([method, path, status]).toEqual([method, path, 404]);
  }
  await execute(gateway, 'carl', '1');
  const [own] = await contextsOf(gateway, 'carl');
  expect((await asCarl(`/${own?.id}`)).status).toBe(404);
});
