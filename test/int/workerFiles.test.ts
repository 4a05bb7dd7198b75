/** The files of a worker, asked of a real agent through the gateway's client. */

import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { WorkerFiles } from '../../src/domain/workerFiles.ts';
import { createWorkerFiles, queryOf } from '../../src/kernel/files/createWorkerFiles.ts';
import { newId } from '../../src/process/newId.ts';
import { socketAddress } from '../../src/runtime/docker/workerSocket.ts';
import { type FilesOfAgent, outcomeOf, startFilesOfAgent } from '../support/workerFiles.ts';

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

describe('files of a worker', () => {
  let worker: FilesOfAgent;
  let files: WorkerFiles;

  beforeAll(async () => {
    worker = await startFilesOfAgent();
    files = worker.files;
  });
  afterAll(() => worker?.close());

  const write = (path: string, bytes: Uint8Array | string, options = {}) =>
    files.write(path, Readable.from([Buffer.from(bytes)]), options);
  const read = async (path: string, options = {}) =>
    (await buffer((await files.read(path, options)).body)).toString();

  it('writes, looks at, lists, reads and deletes a file', async () => {
    const { entry, created } = await write('a.txt', 'hello');
    expect(created).toBe(true);
    expect(entry).toMatchObject({ path: 'a.txt', name: 'a.txt', kind: 'file', size: 5 });
    expect(await files.stat('a.txt')).toEqual(entry);
    const listing = await files.list('.');
    expect(listing.entries).toContainEqual(expect.objectContaining(entry));
    expect(await read('a.txt')).toBe('hello');
    expect(await read('a.txt', { offset: 1, length: 3 })).toBe('ell');
    expect(await read('a.txt', { offset: -2 })).toBe('lo');
    expect(await files.remove('a.txt')).toEqual({ size: 5, files: 1 });
    await expect(files.stat('a.txt')).rejects.toMatchObject({ code: 'not_found' });
  });

  it('moves large content both ways unchanged', async () => {
    const bytes = randomBytes(30 * 1_048_576 + 7);
    await write('large', bytes, { length: bytes.length });
    const content = await files.read('large');
    expect(content.length).toBe(bytes.length);
    expect(sha256(await buffer(content.body))).toBe(sha256(bytes));
    await files.write('chunked', Readable.from(inPieces(bytes, 100_000)));
    expect(sha256(await buffer((await files.read('chunked')).body))).toBe(sha256(bytes));
    expect(await files.remove('large')).toEqual({ size: bytes.length, files: 1 });
    await files.remove('chunked');
  });

  it('replaces a file only under its preconditions', async () => {
    const { entry: first } = await write('guarded', 'one');
    const refused = { code: 'precondition_failed' };
    await expect(write('guarded', 'x', { ifNoneMatch: '*' })).rejects.toMatchObject(refused);
    await expect(write('guarded', 'x', { ifMatch: '"other"' })).rejects.toMatchObject(refused);
    await expect(write('absent', 'x', { ifMatch: '*' })).rejects.toMatchObject(refused);
    const { entry, created } = await write('guarded', 'two', { ifMatch: `"x", ${first.etag}` });
    expect([created, entry.etag === first.etag]).toEqual([false, false]);
    await expect(files.read('guarded', { ifMatch: first.etag })).rejects.toMatchObject(refused);
    await expect(files.remove('guarded', { ifMatch: first.etag })).rejects.toMatchObject(refused);
    expect(await files.read('guarded', { ifNoneMatch: entry.etag })).toMatchObject({
      isKnown: true,
      length: 0,
    });
    await expect(files.read('guarded', { offset: 3 })).rejects.toMatchObject({ code: 'bad_range' });
    expect(await write('new', 'x', { ifNoneMatch: '*' })).toMatchObject({ created: true });
    await write('guarded', ' and three', { append: true });
    expect(await read('guarded')).toBe('two and three');
  });

  it('leaves the old file and no part when an upload is cut', async () => {
    await write('whole', 'old');
    async function* failing() {
      yield Buffer.alloc(1_000_000);
      throw new Error('the client has hung up');
    }
    for (const options of [{}, { length: 5_000_000 }, { append: true }]) {
      const cut = files.write('whole', Readable.from(failing()), options);
      await expect(cut).rejects.toThrow();
    }
    for (const length of [1, 3]) {
      const other = files.write('whole', Readable.from([Buffer.from('xx')]), { length });
      await expect(other).rejects.toThrow('announced');
    }
    const stop = new AbortController();
    const slow = files.write('whole', new Readable({ read: () => {} }), {}, stop.signal);
    stop.abort(new Error('enough'));
    await expect(slow).rejects.toThrow('enough');
    expect(await read('whole')).toBe('old');
    while ((await worker.parts()) !== '[]');
  });

  it('keeps nothing of an upload whose gateway goes away before the first byte', async () => {
    const { sessionId, bootId } = worker;
    const query = queryOf({ session_id: sessionId, boot_id: bootId, path: 'never' });
    const head = [
      `PUT /files/content?${query} HTTP/1.1`,
      'Host: agent',
      'Expect: 100-continue',
      'Content-Length: 5',
    ];
    // More uploads than may be written at once.
    for (let count = 0; count < 100; count += 1) {
      const socket = createConnection(worker.agent.socketPath);
      const request = `${head.join('\r\n')}\r\n\r\n`;
      await new Promise<void>((resolve) => socket.end(request, () => resolve()));
      socket.destroy();
    }
    while ((await worker.parts()) !== '[]');
    await write('after', 'x');
    await expect(files.stat('never')).rejects.toMatchObject({ code: 'not_found' });
  });

  it('moves, and makes folders', async () => {
    await write('from/a', 'a', { makeParents: true });
    await write('b', 'b');
    expect(await files.makeDirectory('x/y/z', { parents: true })).toMatchObject({ created: true });
    expect(await files.makeDirectory('x/y')).toMatchObject({ created: false });
    await expect(files.makeDirectory('b')).rejects.toMatchObject({ code: 'exists' });
    await expect(files.makeDirectory('b/c')).rejects.toMatchObject({ code: 'not_a_directory' });
    await expect(files.makeDirectory('no/c')).rejects.toMatchObject({ code: 'not_found' });
    await expect(files.move('b', 'from/a')).rejects.toMatchObject({ code: 'exists' });
    expect(await files.move('b', 'from/a', { overwrite: true })).toMatchObject({ path: 'from/a' });
    await files.move('from', 'x/y/z/to');
    expect(await read('x/y/z/to/a')).toBe('b');
    await files.move('x/y/z/to/a', '/tmp/elsewhere');
    expect(await read('/tmp/elsewhere')).toBe('b');
    await expect(files.move('x', '/tmp/x')).rejects.toMatchObject({ code: 'other_disk' });
    await expect(files.read('x')).rejects.toMatchObject({ code: 'not_a_file' });
    await expect(files.list('/tmp/elsewhere')).rejects.toMatchObject({ code: 'not_a_directory' });
  });

  it('lists a tree page by page', async () => {
    for (const path of ['t/b/2', 't/b/1', 't/b.c', 't/a/x/y', 't/c'])
      await write(path, path, { makeParents: true });
    const all = ['a', 'a/x', 'a/x/y', 'b', 'b/1', 'b/2', 'b.c', 'c'].map((name) => `t/${name}`);
    for (const limit of [1, 2, 3, 8, 100]) {
      const paths: string[] = [];
      let after: string | null = null;
      do {
        const page = await files.list('t', { depth: 3, limit, after });
        expect(page.entries.length).toBeLessThanOrEqual(limit);
        paths.push(...page.entries.map(({ path }) => path));
        after = page.next;
      } while (after !== null);
      expect(paths).toEqual(all);
    }
    expect((await files.list('t')).entries.map(({ name }) => name)).toEqual(['a', 'b', 'b.c', 'c']);
  });

  it('keeps the content for readers that have paused, and serves other requests up to a limit', async () => {
    await write('held', Buffer.alloc(20_000_000, 'h'));
    const readers = await Promise.all(Array.from({ length: 31 }, () => files.read('held')));
    expect(await read('held', { length: 3 })).toBe('hhh');
    const last = await files.read('held');
    await expect(files.stat('held')).rejects.toMatchObject({ code: 'busy' });
    for (const { body } of [...readers.slice(1), last]) body.destroy();
    expect((await buffer(readers[0]?.body ?? Readable.from([]))).length).toBe(20_000_000);
    while ((await outcomeOf(files.stat('held'))) === 'busy');
    expect(await worker.python('print(6 * 7)')).toBe('42\n');
  });

  it('refuses requests for another session, or for another start of the agent', async () => {
    const address = socketAddress(worker.agent.socketPath);
    const { sessionId, bootId } = worker;
    const other = (who: object) => createWorkerFiles({ address, sessionId, bootId, ...who });
    await files.stat('.');
    expect(await outcomeOf(other({ sessionId: newId() }).stat('.'))).toBe('other_session');
    expect(await outcomeOf(other({ bootId: 'x' }).stat('.'))).toBe('other_boot');
    const body = Readable.from([Buffer.from('x')]);
    expect(await outcomeOf(other({ bootId: 'x' }).write('x', body))).toBe('other_boot');
    expect(body.destroyed).toBe(true);
    expect(await outcomeOf(other({}).stat('.'))).toBe('ok');
  });

  it('packs a folder, and unpacks it elsewhere', async () => {
    const large = randomBytes(5 * 1_048_576 + 1);
    const name = `${'long-'.repeat(45)}ä\n"'.bin`;
    await write(`tree/${'d/'.repeat(60)}${name}`, large, { makeParents: true });
    await write('tree/empty.txt', '');
    await files.makeDirectory('tree/empty folder');
    const { body } = await files.readArchive('tree', 'tar');
    expect(await files.writeArchive('copy/below', body)).toEqual({ files: 2, size: large.length });
    const copied = await files.read(`copy/below/${'d/'.repeat(60)}${name}`);
    expect(sha256(await buffer(copied.body))).toBe(sha256(large));
    const kinds = (await files.list('copy/below')).entries.map(({ name, kind }) => [name, kind]);
    expect(kinds).toEqual([
      ['d', 'directory'],
      ['empty folder', 'directory'],
      ['empty.txt', 'file'],
    ]);
    expect(await files.remove('tree', { recursive: true })).toEqual({
      files: 2,
      size: large.length,
    });
    await expect(files.remove('copy')).rejects.toMatchObject({ code: 'not_empty' });
    await files.remove('copy', { recursive: true });
  });

  it('exchanges archives with tar and unzip', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'cellhouse-archive-'));
    mkdirSync(join(folder, 'in/sub'), { recursive: true });
    writeFileSync(join(folder, 'in/a.csv'), 'a,b\n1,2\n');
    writeFileSync(join(folder, 'in/sub/b.bin'), randomBytes(300_000));
    const list = () => execFileSync('find', ['in', '-type', 'f'], { cwd: folder }).toString();
    const digest = (at: string) =>
      execFileSync('sh', ['-c', 'find . -type f | sort | xargs sha256sum'], {
        cwd: join(folder, at),
      }).toString();
    expect(list()).toContain('in/a.csv');
    for (const format of ['gnu', 'posix', 'ustar']) {
      const packed = execFileSync('tar', ['-C', 'in', `--format=${format}`, '-cf', '-', '.'], {
        cwd: folder,
      });
      const counted = await files.writeArchive(`from-${format}`, Readable.from([packed]));
      expect(counted).toEqual({ files: 2, size: 300_008 });
      const { body } = await files.readArchive(`from-${format}`, 'tar');
      mkdirSync(join(folder, format));
      execFileSync('tar', ['-xf', '-'], { cwd: join(folder, format), input: await buffer(body) });
      expect(digest(format)).toBe(digest('in'));
    }
    const { body } = await files.readArchive('from-gnu', 'zip');
    await files.write('made.zip', body);
    await worker.python('import shutil; shutil.unpack_archive("made.zip", "unzipped")');
    const unzipped = (await files.readArchive('unzipped', 'tar')).body;
    mkdirSync(join(folder, 'zip'));
    execFileSync('tar', ['-xf', '-'], { cwd: join(folder, 'zip'), input: await buffer(unzipped) });
    expect(digest('zip')).toBe(digest('in'));
    rmSync(folder, { recursive: true });
  });
});

function* inPieces(bytes: Buffer, size: number): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
