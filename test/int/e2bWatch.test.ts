/**
 * Watchers of folders in a sandbox of E2B's door, with a real worker, at the gateway that holds the worker and at
 * another.
 */
import { beforeAll, expect, it } from 'vitest';
import { newSandboxId, userOf } from '../../src/doors/e2b/sandbox.ts';
import { AUTH_TOKEN_BY_DOOR } from '../../src/service/principal.ts';
import { allFrames, frameOf, framesOf } from '../support/e2b/envd.ts';
import { useRealService } from '../support/serviceGateways.ts';

const OWNER = AUTH_TOKEN_BY_DOOR.e2b;
const { gateways } = await useRealService(2, { DOORS: 'e2b' });
const services = gateways.map(({ service }) => service);
const origins = await Promise.all(
  gateways.map(async ({ server }) => `http://127.0.0.1:${(await server.listen()).port}`),
);
const [service] = services;
if (!service) throw new Error('There are two gateways.');

/** Opens a sandbox. Returns the calls of its client. */
async function open() {
  const id = newSandboxId();
  const userUuid = userOf(OWNER, id);
  await service?.openSession(OWNER, { userUuid });
  const key = (await service?.sessionKey(OWNER, userUuid)) ?? '';
  const post = (at: number, name: string, type: string, body: BodyInit, signal?: AbortSignal) =>
    fetch(`${origins[at]}/e2b/filesystem.Filesystem/${name}`, {
      method: 'POST',
      body,
      headers: { 'E2b-Sandbox-Id': id, 'X-Access-Token': key, 'Content-Type': type },
      ...(signal && { signal }),
    });
  const call = async (at: number, name: string, message: object) => {
    const answer = await post(at, name, 'application/json', JSON.stringify(message));
    return { status: answer.status, ...((await answer.json()) as object) };
  };
  const watchDir = (at: number, message: object, signal?: AbortSignal) =>
    post(at, 'WatchDir', 'application/connect+json', frameOf(message), signal);
  const run = async (code: string) => {
    const { status } = (await service?.execute(OWNER, { userUuid, code })) ?? {};
    expect(status).toBe('OK');
  };
  const write = async (at: number, path: string, content: string) => {
    const headers = { 'E2b-Sandbox-Id': id, 'X-Access-Token': key };
    const query = `path=${encodeURIComponent(path)}`;
    const type = { 'Content-Type': 'application/octet-stream' };
    const init = { method: 'POST', body: content, headers: { ...headers, ...type } };
    expect((await fetch(`${origins[at]}/e2b/files?${query}`, init)).status).toBe(200);
  };
  const kill = () => service?.release(OWNER, userUuid);
  return { userUuid, call, watchDir, run, write, kill };
}

type Sandbox = Awaited<ReturnType<typeof open>>;
let one: Sandbox;
let other: Sandbox;
beforeAll(async () => {
  [one, other] = await Promise.all([open(), open()]);
});

interface Told {
  readonly filesystem?: { readonly name: string; readonly type: string; readonly entry?: object };
}

/** Checks that the first message of a stream is `start`. Returns a function that reads the next events. */
async function eventsOf(answer: Response) {
  const frames = framesOf(answer);
  const next = async () => {
    for (;;) {
      const { value } = await frames.next();
      const told = value?.message as Told | undefined;
      if (told?.filesystem) return told.filesystem;
      if (!told || !('keepalive' in told)) return told;
    }
  };
  expect(await next()).toEqual({ start: {} });
  return async (count: number) => {
    const events: unknown[] = [];
    while (events.length < count) events.push(await next());
    return events;
  };
}

const event = (told: string) => {
  const [type, name] = told.split(' ');
  return { type: `EVENT_TYPE_${type}`, name };
};
const NEW_FILE = (name: string) => [`CREATE ${name}`, `CHMOD ${name}`, `WRITE ${name}`].map(event);

it.each([0, 1])(
  'a stream at gateway %i reports changes in a folder, and below it if it is recursive',
  async (at) => {
    const { call, watchDir, run, write } = one;
    await call(at, 'MakeDir', { path: `w${at}/d` });
    const gone = new AbortController();
    const [flat, deep] = await Promise.all(
      [false, true].map(async (recursive) =>
        eventsOf(await watchDir(at, { path: `w${at}`, recursive }, gone.signal)),
      ),
    );
    if (!flat || !deep) throw new Error('There are two.');
    await write(at, `w${at}/d/a`, 'one');
    expect(await deep(3)).toEqual(NEW_FILE('d/a'));
    await write(at, `w${at}/d/a`, 'more');
    expect(await deep(1)).toEqual([event('WRITE d/a')]);
    await run(`import os; os.chdir("/home/user/w${at}"); os.rename("d", "e")`);
    const renamed = [event('RENAME d'), event('CREATE e')];
    expect([await flat(2), await deep(2)]).toEqual([renamed, renamed]);
    await run('os.chmod("e", 0o700); os.remove("e/a")');
    expect(await deep(2)).toEqual([event('REMOVE e/a'), event('CHMOD e')]);
    gone.abort();
  },
);

it('a stream adds the entry to an event if its client asks for it', async () => {
  const { call, watchDir, write } = one;
  await call(0, 'MakeDir', { path: 'entries' });
  const gone = new AbortController();
  const path = '/home/user/entries';
  const next = await eventsOf(await watchDir(1, { path, includeEntry: true }, gone.signal));
  await write(0, 'entries/file', 'four');
  const events = await next(3);
  const entry = { name: 'file', path: `${path}/file`, type: 'FILE_TYPE_FILE', size: '4' };
  expect(events[2]).toEqual({ ...event('WRITE file'), entry: expect.objectContaining(entry) });
  gone.abort();
});

it('a path that is missing, closed or no folder is refused before the start', async () => {
  const { watchDir, call, write } = one;
  await write(0, 'file', '');
  for (const [path, code] of [
    ['none', 'not_found'],
    ['file', 'invalid_argument'],
    ['/root', 'permission_denied'],
  ]) {
    const frames = await allFrames(await watchDir(1, { path }));
    expect(frames).toEqual([{ flags: 2, message: { error: expect.objectContaining({ code }) } }]);
    expect(await call(1, 'CreateWatcher', { path })).toMatchObject({ code });
  }
});

it('a watcher can be read at any gateway, and reports each event once', async () => {
  const { call, write } = one;
  await call(0, 'MakeDir', { path: 'w' });
  const made = await call(0, 'CreateWatcher', { path: 'w', recursive: false });
  const { watcherId } = made as unknown as { watcherId: string };
  const events = async (at: number) => await call(at, 'GetWatcherEvents', { watcherId });
  await write(0, 'w/a', 'one');
  expect(await events(1)).toEqual({ status: 200, events: NEW_FILE('a') });
  expect(await events(0)).toEqual({ status: 200, events: [] });
  await write(1, 'w/a', 'two');
  expect(await events(0)).toEqual({ status: 200, events: [event('WRITE a')] });
  expect(await call(1, 'RemoveWatcher', { watcherId })).toEqual({ status: 200 });
  expect(await events(0)).toMatchObject({ status: 404, code: 'not_found' });
  expect(await call(0, 'RemoveWatcher', { watcherId })).toMatchObject({ code: 'not_found' });
});

it('a watcher of another sandbox is not found', async () => {
  const { watcherId } = (await one.call(0, 'CreateWatcher', { path: '/' })) as unknown as {
    watcherId: string;
  };
  expect(await other.call(0, 'GetWatcherEvents', { watcherId })).toMatchObject({ status: 404 });
  expect(await one.call(0, 'GetWatcherEvents', { watcherId })).toMatchObject({ status: 200 });
  expect(await one.call(0, 'RemoveWatcher', { watcherId })).toEqual({ status: 200 });
});

it('a stream that its client leaves frees its watcher', async () => {
  const { call, watchDir } = other;
  const gone = new AbortController();
  const streams = Array.from({ length: 16 }, () => watchDir(0, { path: '.' }, gone.signal));
  for (const stream of streams) await eventsOf(await stream);
  const full = await call(1, 'CreateWatcher', { path: '.' });
  expect(full).toMatchObject({ status: 429, message: expect.stringMatching(/16 watchers/) });
  gone.abort();
  await expect.poll(async () => (await call(1, 'CreateWatcher', { path: '.' })).status).toBe(200);
});

it('a stream breaks off without a last frame when the sandbox is killed', async () => {
  const { watchDir, kill } = other;
  const answer = await watchDir(1, { path: '.' });
  const next = await eventsOf(answer);
  await kill();
  await expect(next(1)).rejects.toThrow();
});
