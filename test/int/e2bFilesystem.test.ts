/** Files of a sandbox with a real worker: filesystem methods, contents, signed URLs, at two gateways. */
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { signatureOf } from '../../src/doors/e2b/envd/files.ts';
import { type Sandbox, useSandboxes } from '../support/e2b/sandboxes.ts';

const BIG_BYTES = 100 * 1_048_576;
const PIECE = Buffer.alloc(1_048_576, 'cellhouse');
const OCTETS = { 'Content-Type': 'application/octet-stream' };

const { service, owner, origins, open } = await useSandboxes({ WORKER_DISK_MB: '224' });
const sandbox = await open();

async function rpc(method: string, message: object, at = 0, of: Sandbox = sandbox) {
  const answer = await of.envd(at, `/filesystem.Filesystem/${method}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(message),
  });
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
}
const entry = async (method: string, message: object, at = 0) => {
  const { status, body } = await rpc(method, message, at);
  return status === 200 ? (body.entry as Record<string, unknown>) : { status, ...body };
};
const write = (path: string, body: BodyInit, at = 0) =>
  sandbox.envd(at, `/files?path=${encodeURIComponent(path)}`, {
    ...{ method: 'POST', headers: OCTETS, body },
    ...{ duplex: 'half' },
  } as RequestInit);
const read = (path: string, at = 0) => sandbox.envd(at, `/files?path=${encodeURIComponent(path)}`);
async function python(code: string): Promise<string> {
  const { stdout } = await run(code);
  return stdout;
}
async function run(code: string) {
  const lines = await sandbox.run({ code });
  const of = (type: string) => lines.filter((line) => line.type === type);
  expect(of('error')).toEqual([]);
  return {
    stdout: of('stdout')
      .map(({ text }) => text)
      .join(''),
  };
}

describe('a file that a client writes', () => {
  it('can be read by code, and the client can read files of code, at any gateway', async () => {
    const name = 'dir/ü b.txt';
    expect(await (await write(name, 'from outside')).json()).toEqual([
      { name: 'ü b.txt', path: '/home/user/dir/ü b.txt', type: 'file' },
    ]);
    expect(await python(`print(open("dir/ü b.txt").read())`)).toBe('from outside\n');
    await python(`open("/tmp/inside.bin", "wb").write(bytes(range(256)))`);
    const answer = await read('/tmp/inside.bin', 1);
    expect(Buffer.from(await answer.arrayBuffer())).toEqual(Buffer.from([...Array(256).keys()]));
    await write(name, 'new', 1);
    expect(await (await read(name)).text()).toBe('new');
  });

  it('of 100 MB is uploaded and downloaded in pieces', async () => {
    const hash = createHash('sha256');
    let left = BIG_BYTES;
    const body = new ReadableStream({
      pull: (controller) => {
        if (left === 0) return controller.close();
        left -= PIECE.length;
        hash.update(PIECE);
        controller.enqueue(new Uint8Array(PIECE));
      },
    });
    expect((await write('big', body)).status).toBe(200);
    const back = createHash('sha256');
    for await (const piece of (await read('big', 1)).body ?? []) back.update(piece);
    expect(back.digest('hex')).toBe(hash.digest('hex'));
    expect(await python('import os; print(os.path.getsize("big"))')).toBe(`${BIG_BYTES}\n`);
    await rpc('Remove', { path: 'big' });
  });

  it('may be one of several in a form', async () => {
    const form = new FormData();
    form.append('file', new Blob(['1']), '/tmp/form/a');
    form.append('file', new Blob(['2']), 'form/b');
    const init = { method: 'POST', body: form };
    expect((await sandbox.envd(0, '/files', init)).status).toBe(200);
    expect(await (await read('/tmp/form/a')).text()).toBe('1');
    expect(await (await read('form/b')).text()).toBe('2');
  });

  it('is refused where the session’s user may not write', async () => {
    const answer = await write('/etc/passwd', 'x');
    expect([answer.status, await answer.json()]).toEqual([
      403,
      { code: 403, message: expect.stringMatching(/closed to the session's user/) },
    ]);
    expect((await write('/home/user/dir', 'x')).status).toBe(400);
    expect((await write('dir/ü b.txt/below', 'x')).status).toBe(400);
  });
});

describe('the methods of folders', () => {
  it('describe the entry at a path', async () => {
    await python(`
import os
open("stat.txt", "w").write("abc"); os.chmod("stat.txt", 0o640); os.utime("stat.txt", (0, 1.5))
os.makedirs("to"); os.symlink("to", "link"); os.symlink("/home/user/link", "/tmp/far"); os.symlink("x", "dead")`);
    expect(await entry('Stat', { path: 'stat.txt' }, 1)).toEqual({
      name: 'stat.txt',
      type: 'FILE_TYPE_FILE',
      path: '/home/user/stat.txt',
      size: '3',
      mode: 0o640,
      permissions: '-rw-r-----',
      owner: 'user',
      group: 'user',
      modifiedTime: '1970-01-01T00:00:01.500Z',
    });
    expect(await entry('Stat', { path: '/tmp/far' })).toMatchObject({
      name: 'far',
      type: 'FILE_TYPE_DIRECTORY',
      path: '/tmp/far',
      permissions: 'Lrwxrwxrwx',
      symlinkTarget: '/home/user/to',
    });
    expect(await entry('Stat', { path: 'dead' })).toMatchObject({ type: 'FILE_TYPE_UNSPECIFIED' });
    expect(await entry('Stat', {})).toMatchObject({ name: 'user', path: '/home/user' });
    expect(await entry('Stat', { path: '/' })).toMatchObject({ name: '/', owner: 'root' });
    expect(await entry('Stat', { path: 'none' })).toMatchObject({ status: 404, code: 'not_found' });
    expect(await entry('Stat', { path: '/proc/self/environ' })).toMatchObject({ status: 403 });
  });

  it('list the entries of a folder, down to a depth', async () => {
    await python(`
import os
os.makedirs("list/b/c"); open("list/a", "w"); open("list/b/c/d", "w"); os.symlink("list", "to-list")`);
    const paths = async (message: object) => {
      const { body } = await rpc('ListDir', message);
      return (body.entries as { path: string }[]).map(({ path }) => path);
    };
    expect(await paths({ path: 'list' })).toEqual(['/home/user/list/a', '/home/user/list/b']);
    expect(await paths({ path: '~/list', depth: 3 })).toEqual([
      '/home/user/list/a',
      '/home/user/list/b',
      '/home/user/list/b/c',
      '/home/user/list/b/c/d',
    ]);
    expect(await paths({ path: 'to-list', depth: 0 })).toEqual([
      '/home/user/to-list/a',
      '/home/user/to-list/b',
    ]);
    expect(await rpc('ListDir', { path: 'list/a' })).toMatchObject({
      status: 400,
      body: { code: 'invalid_argument' },
    });
    expect(await rpc('ListDir', { path: 'none' })).toMatchObject({ status: 404 });
    expect(await rpc('ListDir', { depth: 33 })).toMatchObject({
      status: 400,
      body: { message: expect.stringMatching(/depth/) },
    });
  });

  it('list more than one page', async () => {
    await python(`
import os
os.makedirs("many")
for n in range(2_500): open(f"many/{n:04}", "w").close()`);
    const { body } = await rpc('ListDir', { path: 'many' });
    const names = (body.entries as { name: string }[]).map(({ name }) => name);
    expect(names).toEqual(Array.from({ length: 2_500 }, (_, n) => String(n).padStart(4, '0')));
  });

  it('make a folder once', async () => {
    expect(await entry('MakeDir', { path: 'made/in/here' })).toMatchObject({
      path: '/home/user/made/in/here',
      type: 'FILE_TYPE_DIRECTORY',
    });
    for (const path of ['made/in/here', 'made', '', '/', '/tmp'])
      expect(await entry('MakeDir', { path })).toMatchObject({
        status: 409,
        code: 'already_exists',
      });
    await write('made/file', 'x');
    for (const path of ['made/file', 'made/file/below'])
      expect(await entry('MakeDir', { path })).toMatchObject({
        status: 400,
        code: 'invalid_argument',
      });
    expect(await entry('MakeDir', { path: '/etc/new' })).toMatchObject({
      status: 403,
      code: 'permission_denied',
    });
  });

  it('move a file over another one, and make the folders above it', async () => {
    await write('move/a', 'A');
    expect(await entry('Move', { source: 'move/a', destination: 'move/new/b' })).toMatchObject({
      path: '/home/user/move/new/b',
      size: '1',
    });
    await write('move/c', 'C');
    await entry('Move', { source: 'move/c', destination: '/home/user/move/new/b' });
    expect(await (await read('move/new/b')).text()).toBe('C');
    expect(await entry('Move', { source: 'move/c', destination: 'other/d' })).toMatchObject({
      code: 'not_found',
    });
    expect(await entry('Stat', { path: 'other' })).toMatchObject({ code: 'not_found' });
  });

  it('remove a folder with its content, and succeed if there is nothing to remove', async () => {
    await write('gone/a/b', 'x');
    const removed = { status: 200, body: {} };
    expect(await rpc('Remove', { path: 'gone' })).toEqual(removed);
    expect(await rpc('Remove', { path: 'gone' }, 1)).toEqual(removed);
    expect(await rpc('Remove', { path: '~' })).toMatchObject({
      status: 400,
      body: { code: 'invalid_argument' },
    });
  });
});

describe('a signed URL', () => {
  const url = (query: Record<string, string>, at = 0) =>
    `${origins[at]}/files?${new URLSearchParams(query)}`;
  const signed = (operation: 'read' | 'write', path: string, expiration: string | null = null) => ({
    ...(path !== '' && { path }),
    signature: signatureOf({ path, operation, username: '', expiration, key: sandbox.key }),
    ...(expiration !== null && { signature_expiration: expiration }),
  });

  it('reads and writes without a key', async () => {
    const later = String(Math.floor(Date.now() / 1_000) + 60);
    const form = new FormData();
    form.append('file', new Blob(['signed']), 'any');
    const wrote = await fetch(url(signed('write', 's/a.txt', later), 1), {
      method: 'POST',
      body: form,
    });
    expect([wrote.status, await wrote.json()]).toEqual([
      200,
      [{ name: 'a.txt', path: '/home/user/s/a.txt', type: 'file' }],
    ]);
    expect(await (await fetch(url(signed('read', 's/a.txt')))).text()).toBe('signed');
  });

  it('without a path writes below the home', async () => {
    const form = new FormData();
    form.append('file', new Blob(['x']), 's/b.txt');
    const wrote = await fetch(url(signed('write', '')), { method: 'POST', body: form });
    expect(await wrote.json()).toEqual([
      { name: 'b.txt', path: '/home/user/s/b.txt', type: 'file' },
    ]);
  });

  it.each([
    ['for another path', { ...signed('read', 'a'), path: 'b' }],
    ['for writing that is used to read', signed('write', 's/a.txt')],
    ['whose expiration was changed', { ...signed('read', 'a', '1'), signature_expiration: '9e9' }],
    [
      'that names a user although it was signed for none',
      { ...signed('read', 's/a.txt'), username: 'user' },
    ],
  ])('%s is refused', async (_what, query) => {
    const answer = await fetch(url(query));
    expect([answer.status, await answer.json()]).toMatchObject([401, { code: 401 }]);
  });

  it.each(['GET', 'POST'])('that has expired is refused as expired: %s', async (method) => {
    const query = signed(method === 'GET' ? 'read' : 'write', 's/a.txt', '1');
    const answer = await fetch(url(query), { method });
    expect([answer.status, await answer.json()]).toEqual([
      401,
      { code: 401, message: 'signature is already expired' },
    ]);
  });
});

it('files of a sandbox that was killed are gone with it', async () => {
  const killed = await open();
  await killed.kill();
  const gone = { sandboxId: killed.id, message: 'The sandbox was not found', code: 502 };
  for (const method of ['Stat', 'ListDir', 'MakeDir', 'Remove'])
    expect(await rpc(method, { path: 'a' }, 0, killed)).toEqual({ status: 502, body: gone });
  const post = { method: 'POST', headers: OCTETS, body: 'x' };
  for (const asked of [killed.envd(0, '/files?path=a'), killed.envd(1, '/files?path=a', post)]) {
    const answer = await asked;
    expect([answer.status, await answer.json()]).toEqual([502, gone]);
  }
  expect(await service.session(owner, killed.userUuid)).toMatchObject({
    closedAt: expect.any(Date),
  });
});
