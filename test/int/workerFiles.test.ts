/** The files of a worker, asked of a real agent through the gateway's client. */
import { createHash, randomBytes } from 'node:crypto';
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
    expect(listing.entries).toContainEqual(entry);
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
});

function* inPieces(bytes: Buffer, size: number): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
