/** Files, as E2B's own SDK writes, reads and watches them in sandboxes of a real gateway. */
import { createHash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../../../testkit/until.ts';
import { E2B_SDKS, gateway, type Sandbox, useE2bGateway } from '../../support/e2b/sdks.ts';

useE2bGateway();

const LARGE_BYTES = 100 * 1024 * 1024;
const CHUNK_BYTES = 256 * 1024;

describe.each(E2B_SDKS)('$name', ({ sdk }) => {
  let sandbox: Sandbox;
  beforeAll(async () => {
    sandbox = await sdk.Sandbox.create();
  });
  afterAll(() => sandbox.kill());

  it('a text is read back as it was written, at any path', async () => {
    const written = await sandbox.files.write('notes/ä "b" %22.txt', 'é🧪\n');
    expect(written).toMatchObject({
      name: 'ä "b" %22.txt',
      path: '/home/user/notes/ä "b" %22.txt',
      type: 'file',
    });
    expect(await sandbox.files.read('notes/ä "b" %22.txt')).toBe('é🧪\n');
    expect(await sandbox.files.read(written.path)).toBe('é🧪\n');
    await sandbox.files.write('notes/empty', '');
    expect(await sandbox.files.read('notes/empty')).toBe('');
    await sandbox.files.write(written.path, 'x');
    expect(await sandbox.files.read(written.path)).toBe('x');
  });

  it('bytes come back in each form', async () => {
    const bytes = new Uint8Array(randomBytes(70_000));
    await sandbox.files.write('/tmp/bytes', bytes.buffer);
    expect(await sandbox.files.read('/tmp/bytes', { format: 'bytes' })).toEqual(bytes);
    const blob = await sandbox.files.read('/tmp/bytes', { format: 'blob' });
    expect(new Uint8Array(await blob.arrayBuffer())).toEqual(bytes);
  });

  it.each([{ gzip: true }, { useOctetStream: true }])('%j keeps the content', async (options) => {
    await sandbox.files.write('encoded/a.txt', 'a'.repeat(50_000), options);
    expect(await sandbox.files.read('encoded/a.txt', { gzip: true })).toBe('a'.repeat(50_000));
    await sandbox.files.writeFiles(
      [
        { path: 'encoded/b.txt', data: 'b' },
        { path: '/tmp/encoded/c.txt', data: 'c' },
      ],
      options,
    );
    expect(await sandbox.files.read('/tmp/encoded/c.txt')).toBe('c');
  });

  it('several files are written at once, each in its folder', async () => {
    const paths = ['many/a/one.txt', 'many/b/two.txt', '/tmp/many/three.txt'];
    const written = await sandbox.files.write(paths.map((path) => ({ path, data: `of ${path}` })));
    expect(written.map(({ path }) => path)).toEqual([
      '/home/user/many/a/one.txt',
      '/home/user/many/b/two.txt',
      '/tmp/many/three.txt',
    ]);
    for (const path of paths) expect(await sandbox.files.read(path)).toBe(`of ${path}`);
  });

  it('folders are made, listed, moved and removed', async () => {
    expect(await sandbox.files.makeDir('tree/in')).toBe(true);
    expect(await sandbox.files.makeDir('tree/in')).toBe(false);
    await sandbox.files.write('tree/in/a.txt', '12345');
    await sandbox.commands.run('ln -s in/a.txt tree/link; chmod 640 tree/in/a.txt');
    const names = async (depth?: number) =>
      (await sandbox.files.list('tree', depth === undefined ? {} : { depth })).map(
        ({ path, type }) => `${type} ${path}`,
      );
    expect(await names()).toEqual(['dir /home/user/tree/in', 'file /home/user/tree/link']);
    expect(await names(2)).toEqual([
      'dir /home/user/tree/in',
      'file /home/user/tree/in/a.txt',
      'file /home/user/tree/link',
    ]);
    expect(await sandbox.files.getInfo('tree/in/a.txt')).toMatchObject({
      name: 'a.txt',
      type: 'file',
      size: 5,
      mode: 0o640,
      permissions: '-rw-r-----',
      owner: 'user',
      group: 'user',
      modifiedTime: expect.any(Date),
    });
    expect((await sandbox.files.getInfo('tree/link')).symlinkTarget).toMatch(/in\/a\.txt$/);
    const moved = await sandbox.files.rename('tree/in/a.txt', 'tree/out/b.txt');
    expect(moved.path).toBe('/home/user/tree/out/b.txt');
    expect(await sandbox.files.exists('tree/in/a.txt')).toBe(false);
    expect(await sandbox.files.exists('tree/out/b.txt')).toBe(true);
    await sandbox.files.remove('tree');
    expect(await sandbox.files.exists('tree')).toBe(false);
    await sandbox.files.remove('tree');
  });

  it('a path that does not exist or is of another kind is refused', async () => {
    await expect(sandbox.files.read('not/there')).rejects.toBeInstanceOf(sdk.FileNotFoundError);
    await expect(sandbox.files.list('not/there')).rejects.toBeInstanceOf(sdk.FileNotFoundError);
    await expect(sandbox.files.getInfo('not/there')).rejects.toBeInstanceOf(sdk.FileNotFoundError);
    await sandbox.files.write('plain.txt', 'a');
    await expect(sandbox.files.list('plain.txt')).rejects.toBeInstanceOf(sdk.InvalidArgumentError);
    await expect(sandbox.files.makeDir('plain.txt')).rejects.toBeInstanceOf(
      sdk.InvalidArgumentError,
    );
    await expect(sandbox.files.read('.')).rejects.toBeInstanceOf(sdk.InvalidArgumentError);
    await expect(sandbox.files.read('plain.txt', { user: 'root' })).rejects.toBeInstanceOf(
      sdk.AuthenticationError,
    );
  });

  it('a recursive watch reports changes in a folder and below it', async () => {
    await sandbox.files.makeDir('seen/deep');
    const seen = new Set<string>();
    const watch = await sandbox.files.watchDir(
      'seen',
      ({ type, name }) => void seen.add(`${type} ${name}`),
      { recursive: true },
    );
    await sandbox.files.write('seen/a.txt', 'a');
    await sandbox.files.write('seen/deep/b.txt', 'b');
    await until('both', async () => seen.has('create a.txt') && seen.has('create deep/b.txt'));
    await sandbox.files.remove('seen/a.txt');
    await until('the removal', async () => seen.has('remove a.txt'));
    await watch.stop();
    await expect(sandbox.files.watchDir('not/there', () => undefined)).rejects.toBeInstanceOf(
      sdk.FileNotFoundError,
    );
  });

  it('signed URLs write and read without a key, until they expire', async () => {
    const upload = await sandbox.uploadUrl('signed/in.txt');
    expect(upload.startsWith(`${gateway.url}/files?`)).toBe(true);
    const form = new FormData();
    form.append('file', new Blob(['by URL']), 'ignored.txt');
    expect((await fetch(upload, { method: 'POST', body: form })).status).toBe(200);
    expect(await sandbox.files.read('signed/in.txt')).toBe('by URL');

    const download = await sandbox.downloadUrl('signed/in.txt', { useSignatureExpiration: 60_000 });
    const answer = await fetch(download);
    expect([answer.status, await answer.text()]).toEqual([200, 'by URL']);
    for (const wrong of [
      download.replace('in.txt', 'other.txt'),
      download.replace(/signature=v1_./, 'signature=v1_-'),
      upload,
    ]) {
      expect((await fetch(wrong)).status, wrong.replace(/signature=.*/, '')).toBe(401);
    }
    const past = Math.floor(Date.now() / 1000) - 5;
    const expired = download.replace(/signature_expiration=\d+/, `signature_expiration=${past}`);
    expect((await fetch(expired)).status).toBe(401);
  });

  it('a signed URL without a path writes the file that the form names, only in the home folder', async () => {
    const upload = await sandbox.uploadUrl();
    const form = new FormData();
    form.append('file', new Blob(['named']), 'named/by form.txt');
    expect((await fetch(upload, { method: 'POST', body: form })).status).toBe(200);
    expect(await sandbox.files.read('/home/user/named/by form.txt')).toBe('named');
    const outside = new FormData();
    outside.append('file', new Blob(['x']), '/tmp/outside.txt');
    expect((await fetch(upload, { method: 'POST', body: outside })).ok).toBe(false);
    expect(await sandbox.files.exists('/tmp/outside.txt')).toBe(false);
  });

  it('100 MB are streamed there and back', async () => {
    const sent = createHash('sha256');
    let left = LARGE_BYTES;
    const source = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (left === 0) return controller.close();
        const chunk = new Uint8Array(randomBytes(CHUNK_BYTES));
        sent.update(chunk);
        left -= chunk.length;
        controller.enqueue(chunk);
      },
    });
    await sandbox.files.write('large.bin', source);
    const got = createHash('sha256');
    for await (const chunk of (await sandbox.files.read('large.bin', {
      format: 'stream',
    })) as unknown as AsyncIterable<Uint8Array>) {
      got.update(chunk);
    }
    expect(got.digest('hex')).toBe(sent.digest('hex'));
    await sandbox.files.remove('large.bin');
  });
});
