/** The files of a worker, asked of a real agent through the gateway's client. */

import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { WorkerFiles } from '../../src/domain/fileEntry.ts';
import { createAgentCalls } from '../../src/kernel/calls/createAgentCalls.ts';
import { createWorkerFiles } from '../../src/kernel/files/createWorkerFiles.ts';
import { newId } from '../../src/process/newId.ts';
import { socketAddress } from '../../src/runtime/docker/socketAddress.ts';
import { type AgentServer, startAgent } from '../../testkit/kernelServers.ts';

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

describe('files of a worker', () => {
  let agent: AgentServer;
  let files: WorkerFiles;

  beforeAll(async () => {
    agent = await startAgent();
    const { signal } = new AbortController();
    const { bootId } = await createAgentCalls({ target: agent.target, epoch: 1, signal })(
      'health',
      {},
    );
    const address = socketAddress(agent.socketPath);
    files = createWorkerFiles({ address, sessionId: newId(), bootId });
  });
  afterAll(() => agent?.close());

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
    expect(listing.entries).toContainEqual({ ...entry, position: expect.any(String) });
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
    writeFileSync(join(folder, 'made.zip'), await buffer(body));
    execFileSync('python3', ['-m', 'zipfile', '-e', 'made.zip', 'unzipped'], { cwd: folder });
    expect(digest('unzipped')).toBe(digest('in'));
    rmSync(folder, { recursive: true });
  });
});

function* inPieces(bytes: Buffer, size: number): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
