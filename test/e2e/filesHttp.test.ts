/** Files of a session over HTTP, with a real worker. */
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestGateway } from '../../testkit/gateway.ts';
import { execute, poolStatus, release } from '../../testkit/interpreter.ts';
import { until } from '../../testkit/until.ts';
import { askFiles, type FileCall, openFiles, refusalIn } from '../support/fileClient.ts';
import { createInstallation, type TestInstallation } from '../support/installation.ts';

const DISK_MB = 96;
const MAX_FILE_BYTES = 128 * 1_048_576;

let installation: TestInstallation;
let gateway: TestGateway;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ch-files-'));
  installation = await createInstallation({
    MIN_IDLE_WORKERS: '1',
    MAX_TOTAL_WORKERS: '2',
    WORKER_DISK_MB: String(DISK_MB),
    MAX_FILE_BYTES: String(MAX_FILE_BYTES),
    WORKER_WAIT_TIMEOUT_MS: '8000',
    SLOW_READER_TIMEOUT_MS: '1500',
    CORS_ORIGINS: 'https://app.example.com',
  });
  gateway = await installation.start();
  await until('a worker is idle', async () => (await poolStatus(gateway)).idleWorkers > 0);
});
afterAll(async () => {
  await installation.destroy();
  rmSync(folder, { recursive: true, force: true });
});

const ask = (call: FileCall) => askFiles(gateway, call);
const get = (path: string, headers = {}) => ask({ method: 'GET', path, headers });
const put = (path: string, body: Buffer | string | Readable, headers = {}) =>
  ask({ method: 'PUT', path, body, headers });
const remove = (path: string, headers = {}) => ask({ method: 'DELETE', path, headers });
const sha256 = (bytes: Buffer | string) => createHash('sha256').update(bytes).digest('hex');
async function run(code: string, userUuid = 'ann'): Promise<string> {
  const { stdout, stderr } = await execute(gateway, userUuid, code);
  expect(stderr).toBe('');
  return stdout.trim();
}

/** Runs a program of the host without blocking the test's own process, and gives what it printed. */
async function tell(program: string, ...args: readonly string[]): Promise<string> {
  return (await promisify(execFile)(program, args)).stdout;
}

const SAFE = {
  'content-security-policy': 'sandbox',
  'x-content-type-options': 'nosniff',
  'content-disposition': expect.stringMatching(/^attachment/),
};

describe('files over HTTP', () => {
  it('do not exist without a session, and writing one opens a session', async () => {
    const missing = await get('new/a.txt');
    expect(missing.status).toBe(404);
    expect(refusalIn(missing).code).toBe('NOT_FOUND');
    expect((await remove('new/a.txt')).status).toBe(404);
    const written = await put('new/in/a.txt', 'hello');
    expect(written.status).toBe(201);
    expect(written.headers).toMatchObject({ ...SAFE, location: '/files/new/in/a.txt' });
    expect(JSON.parse(written.body.toString())).toEqual({
      path: 'in/a.txt',
      size: 5,
      etag: written.headers.etag,
      sha256: sha256('hello'),
    });
    expect(await run('print(open("in/a.txt").read())', 'new')).toBe('hello');
    expect((await put('new/in/a.txt', 'hello again')).status).toBe(200);
    await release(gateway, 'new');
  });

  it('are sent whole, with their type and version', async () => {
    const bytes = randomBytes(5_000_000);
    await put('ann/data/b.csv', bytes);
    const answer = await get('ann/data/b.csv');
    expect(answer.status).toBe(200);
    expect(answer.body.equals(bytes)).toBe(true);
    expect(answer.headers).toMatchObject({
      ...SAFE,
      'content-type': 'text/csv',
      'content-length': '5000000',
      'content-disposition': 'attachment; filename=b.csv',
      'accept-ranges': 'bytes',
      'cache-control': 'private, no-cache',
    });
    const head = await ask({ method: 'HEAD', path: 'ann/data/b.csv' });
    expect(head.status).toBe(200);
    expect(head.body).toHaveLength(0);
    expect(head.headers).toMatchObject({ etag: answer.headers.etag, 'content-length': '5000000' });
  });

  it('are sent in part', async () => {
    const { headers } = await put('ann/digits', '0123456789');
    const etag = String(headers.etag);
    const part = await get('ann/digits', { Range: 'bytes=2-4' });
    expect(part.status).toBe(206);
    expect(part.body.toString()).toBe('234');
    expect(part.headers['content-range']).toBe('bytes 2-4/10');
    expect((await get('ann/digits', { Range: 'bytes=-3' })).body.toString()).toBe('789');
    const none = await get('ann/digits', { Range: 'bytes=10-' });
    expect([none.status, none.headers['content-range']]).toEqual([416, 'bytes */10']);
    const same = await get('ann/digits', { Range: 'bytes=0-0', 'If-Range': etag });
    expect([same.status, same.body.toString()]).toEqual([206, '0']);
    const other = await get('ann/digits', { Range: 'bytes=0-0', 'If-Range': '"other"' });
    expect([other.status, other.body.toString()]).toEqual([200, '0123456789']);
    const several = await get('ann/digits', { Range: 'bytes=0-1,3-4' });
    expect([several.status, several.body.toString()]).toEqual([200, '0123456789']);
    const known = await get('ann/digits', { Range: 'bytes=0-0', 'If-None-Match': etag });
    expect(known.status).toBe(304);
  });

  it('are read, written and deleted only in the version that the caller knows', async () => {
    const first = String((await put('ann/v', '1', { 'If-None-Match': '*' })).headers.etag);
    expect((await put('ann/v', '1', { 'If-None-Match': '*' })).status).toBe(412);
    expect((await get('ann/v', { 'If-None-Match': first })).status).toBe(304);
    expect((await get('ann/v', { 'If-None-Match': `W/${first}, "x"` })).status).toBe(304);
    expect((await get('ann/v', { 'If-Match': '"x"' })).status).toBe(412);
    const second = await put('ann/v', '22', { 'If-Match': `"x", ${first}` });
    expect(second.status).toBe(200);
    for (const stale of [
      put('ann/v', '333', { 'If-Match': first }),
      remove('ann/v', { 'If-Match': first }),
    ]) {
      const refused = await stale;
      expect([refused.status, refusalIn(refused).code]).toEqual([412, 'PRECONDITION_FAILED']);
    }
    expect((await get('ann/v')).body.toString()).toBe('22');
    expect((await put('ann/gone', '1', { 'If-Match': '*' })).status).toBe(412);
    expect((await remove('ann/v', { 'If-Match': String(second.headers.etag) })).status).toBe(204);
    expect((await get('ann/v')).status).toBe(404);
  });

  it('are sent for display only if they are raster images or plain text, and the caller asks for it', async () => {
    for (const name of ['a.html', 'a.svg', 'a.js', 'a.pdf', 'a.xml', 'a']) {
      await put(`ann/${name}`, '<script>1</script>');
      const { headers } = await get(`ann/${name}?inline`);
      expect(headers).toMatchObject(SAFE);
    }
    await put('ann/a.png', 'no image');
    await put('ann/a.md', '# hi');
    expect((await get('ann/a.png?inline')).headers).toMatchObject({
      'content-disposition': 'inline; filename=a.png',
      'content-type': 'image/png',
      'content-security-policy': 'sandbox',
      'x-content-type-options': 'nosniff',
    });
    expect((await get('ann/a.md?inline')).headers['content-type']).toBe(
      'text/plain; charset=utf-8',
    );
    expect((await get('ann/a.md')).headers).toMatchObject(SAFE);
  });

  it.each([
    'é ü.txt',
    'new\nline',
    '"quotes" \'and\' `ticks`',
    'back\\slash',
    '..%2f',
    '%2e%2e',
    '\u0001\u007f',
    'n'.repeat(255),
    '波'.repeat(85),
    '-rf',
    '* ?#&;',
  ])('keep their name %j', async (name) => {
    const path = `ann/odd/${encodeURIComponent(name)}`;
    expect((await put(path, 'x')).status).toBe(201);
    expect(JSON.parse(await run('import os, json; print(json.dumps(os.listdir("odd")))'))).toEqual([
      name,
    ]);
    expect((await get(path)).body.toString()).toBe('x');
    expect((await remove(path)).status).toBe(204);
  });

  it('whose names are not UTF-8 can be read and deleted, but not made', async () => {
    expect((await put('ann/bad%ff', 'x')).status).toBe(400);
    await run('open(b"bad\\xff", "w").write("x") and None');
    const { data } = await gateway.graphql<{
      files: { edges: { node: { path: string; url: string } }[] };
    }>('{ files(userUuid: "ann") { edges { node { path url } } } }');
    const found = data?.files.edges.find(({ node }) => node.path.startsWith('bad'))?.node;
    expect(found).toEqual({ path: 'bad\\xff', url: '/files/ann/bad%FF' });
    expect((await get('ann/bad%FF')).body.toString()).toBe('x');
    expect((await remove('ann/bad%FF')).status).toBe(204);
    expect((await get('ann/bad%FF')).status).toBe(404);
  });

  it('are named by absolute paths, too', async () => {
    expect((await put('ann//tmp/t.txt', 'x')).status).toBe(201);
    expect(await run('print(open("/tmp/t.txt").read())')).toBe('x');
    expect((await get('ann//home/user/digits')).body.toString()).toBe('0123456789');
  });
});

describe('a request for a file', () => {
  it.each<[string, FileCall, number, string]>([
    ['has no user', { method: 'GET', path: '' }, 400, 'BAD_USER_INPUT'],
    [
      'has a user that is too long',
      { method: 'GET', path: `${'u'.repeat(129)}/a` },
      400,
      'BAD_USER_INPUT',
    ],
    ['has a user that is not UTF-8', { method: 'GET', path: '%ff/a' }, 400, 'BAD_USER_INPUT'],
    ['leads upwards', { method: 'GET', path: 'ann/../b' }, 400, 'BAD_USER_INPUT'],
    ['leads upwards, encoded', { method: 'GET', path: 'ann/%2e%2e/b' }, 400, 'BAD_USER_INPUT'],
    ['has an encoded slash', { method: 'GET', path: 'ann/..%2fb' }, 400, 'BAD_USER_INPUT'],
    ['has a half percent sign', { method: 'GET', path: 'ann/a%2' }, 400, 'BAD_USER_INPUT'],
    ['holds U+0000', { method: 'PUT', path: 'ann/a%00', body: '' }, 400, 'BAD_USER_INPUT'],
    [
      'has a name of 256 bytes',
      { method: 'PUT', path: `ann/${'n'.repeat(256)}`, body: '' },
      400,
      'BAD_USER_INPUT',
    ],
    [
      'has a path of 4,097 bytes',
      { method: 'PUT', path: `ann/${'a/'.repeat(2_048)}b`, body: '' },
      400,
      'BAD_USER_INPUT',
    ],
    ['has an unknown option', { method: 'GET', path: 'ann/a?token=x' }, 400, 'BAD_USER_INPUT'],
    [
      'asks for another archive',
      { method: 'GET', path: 'ann/?archive=rar' },
      400,
      'BAD_USER_INPUT',
    ],
    [
      'uploads a zip',
      { method: 'PUT', path: 'ann/z?archive=zip', body: '' },
      400,
      'BAD_USER_INPUT',
    ],
    ['uploads inline', { method: 'PUT', path: 'ann/z?inline', body: '' }, 400, 'BAD_USER_INPUT'],
    ['deletes an archive', { method: 'DELETE', path: 'ann/z?archive=tar' }, 400, 'BAD_USER_INPUT'],
    ['deletes the home', { method: 'DELETE', path: 'ann/' }, 400, 'BAD_USER_INPUT'],
    ['deletes the root', { method: 'DELETE', path: 'ann//' }, 400, 'BAD_USER_INPUT'],
    ['writes the home', { method: 'PUT', path: 'ann', body: '' }, 400, 'BAD_USER_INPUT'],
    [
      'has a bad If-Match',
      { method: 'PUT', path: 'ann/a', body: '', headers: { 'If-Match': 'x' } },
      400,
      'BAD_USER_INPUT',
    ],
    [
      'has a bad If-None-Match',
      { method: 'GET', path: 'ann/a', headers: { 'If-None-Match': '"' } },
      400,
      'BAD_USER_INPUT',
    ],
    [
      'sends compressed bytes',
      { method: 'PUT', path: 'ann/a', body: '', headers: { 'Content-Encoding': 'gzip' } },
      400,
      'BAD_USER_INPUT',
    ],
    [
      'sends a part',
      { method: 'PUT', path: 'ann/a', body: '', headers: { 'Content-Range': 'bytes 0-1/2' } },
      400,
      'BAD_USER_INPUT',
    ],
    [
      'has no token',
      { method: 'GET', path: 'ann/a', headers: { 'x-auth-token': '' } },
      401,
      'UNAUTHENTICATED',
    ],
    ['has another method', { method: 'POST', path: 'ann/a', body: '' }, 405, 'BAD_USER_INPUT'],
    ['wants a folder', { method: 'GET', path: 'ann/data' }, 409, 'IS_A_DIRECTORY'],
    ['wants the home', { method: 'GET', path: 'ann' }, 409, 'IS_A_DIRECTORY'],
    ['writes on a folder', { method: 'PUT', path: 'ann/data', body: 'x' }, 409, 'IS_A_DIRECTORY'],
    ['goes through a file', { method: 'GET', path: 'ann/digits/x' }, 409, 'NOT_A_DIRECTORY'],
    ['wants a device', { method: 'GET', path: 'ann//dev/null' }, 409, 'NOT_A_FILE'],
    ['wants a secret', { method: 'GET', path: 'ann//proc/1/environ' }, 403, 'FILE_ACCESS_DENIED'],
    [
      'writes into the system',
      { method: 'PUT', path: 'ann//etc/passwd', body: 'x' },
      403,
      'FILE_ACCESS_DENIED',
    ],
    ['wants nothing', { method: 'GET', path: 'ann/nothing' }, 404, 'FILE_NOT_FOUND'],
    [
      'wants a file as a folder',
      { method: 'GET', path: 'ann/digits?archive=tar' },
      409,
      'NOT_A_DIRECTORY',
    ],
    [
      'sends no archive',
      { method: 'PUT', path: 'ann/x?archive=tar', body: 'no tar' },
      400,
      'BAD_USER_INPUT',
    ],
  ])('that %s is refused', async (_what, call, status, code) => {
    const before = await installation.sql`SELECT count(*) FROM sessions`;
    const answer = await ask(call);
    expect([answer.status, refusalIn(answer).code]).toEqual([status, code]);
    expect(refusalIn(answer).message).toEqual(expect.stringMatching(/\.$/));
    expect(answer.headers).toMatchObject({ ...SAFE, 'content-disposition': 'attachment' });
    expect(await installation.sql`SELECT count(*) FROM sessions`).toEqual(before);
  });

  it('that is too large is refused before its body if Content-Length says so, else at the limit', async () => {
    const large = { 'Content-Length': String(MAX_FILE_BYTES + 1), Expect: '100-continue' };
    const socket = connect(gateway.port, '127.0.0.1');
    const headers = Object.entries({ Host: 'x', 'X-Auth-Token': gateway.token, ...large });
    socket.write(
      `PUT /files/ann/large HTTP/1.1\r\n${headers.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`,
    );
    const [head] = (await once(socket, 'data')) as [Buffer];
    expect(head.toString()).toMatch(/^HTTP\/1\.1 413 /);
    socket.destroy();
    const refused = await put('ann/large', endless()).catch((error: Error) => error);
    if (!(refused instanceof Error)) expect([413, 507]).toContain(refused.status);
    expect((await get('ann/large')).status).toBe(404);
  });

  it('that comes from a page of an allowed origin gets headers that let the page read the answer', async () => {
    const Origin = 'https://app.example.com';
    const preflight = await ask({ method: 'OPTIONS', path: 'ann/a', headers: { Origin } });
    expect(preflight.status).toBe(204);
    expect(preflight.headers['access-control-allow-methods']).toContain('PUT');
    expect((await get('ann/digits', { Origin })).headers).toMatchObject({
      'access-control-allow-origin': Origin,
      'access-control-expose-headers': expect.stringContaining('ETag'),
    });
    const other = await get('ann/digits', { Origin: 'https://evil.example' });
    expect(other.headers['access-control-allow-origin']).toBeUndefined();
  });

  it('that writes gets 503 with Retry-After when no worker is free', async () => {
    await put('busy', 'x').catch(() => null);
    await put('second/a', 'x');
    const refused = await put('third/a', 'x');
    expect([refused.status, refusalIn(refused).code]).toEqual([503, 'POOL_EXHAUSTED']);
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    await release(gateway, 'second');
  });
});

function endless(): Readable {
  const chunk = Buffer.alloc(1_048_576);
  return new Readable({
    read() {
      this.push(chunk);
    },
  });
}

describe('an upload', () => {
  it('that does not fit gets 507, and the old file stays whole', async () => {
    await put('ann/kept', 'old');
    const refused = await put('ann/kept', Buffer.alloc((DISK_MB + 8) * 1_048_576));
    expect([refused.status, refusalIn(refused).code]).toEqual([507, 'NO_SPACE']);
    expect((await get('ann/kept')).body.toString()).toBe('old');
    expect(await run('import os; print([n for n in os.listdir() if "part" in n])')).toBe('[]');
  });

  it('that is aborted leaves the old file and nothing else', async () => {
    await put('ann/kept', 'old');
    const socket = connect(gateway.port, '127.0.0.1');
    socket.write(
      `PUT /files/ann/kept HTTP/1.1\r\nHost: x\r\nX-Auth-Token: ${gateway.token}\r\nContent-Length: 9999999\r\n\r\n`,
    );
    socket.write(Buffer.alloc(2_000_000));
    await until(
      'the bytes arrive in the worker',
      async () =>
        (await run('import os; print(any("part" in n for n in os.listdir()))')) === 'True',
    );
    socket.destroy();
    await until(
      'the part is gone',
      async () =>
        (await run('import os; print(any("part" in n for n in os.listdir()))')) === 'False',
    );
    expect((await get('ann/kept')).body.toString()).toBe('old');
    const [change] = await installation.sql`
      SELECT outcome, error_code FROM audit.files WHERE source = 'api' AND path = 'kept' ORDER BY first_position DESC LIMIT 1`;
    expect(change).toMatchObject({ outcome: 'FAILED', errorCode: 'ABORTED' });
  });

  it('by curl -T waits for 100 Continue, and arrives unchanged', async () => {
    const file = join(folder, 'up.bin');
    const bytes = randomBytes(3_000_000);
    writeFileSync(file, bytes);
    const url = `${gateway.url}/files/ann/curl/`;
    const auth = ['-H', `X-Auth-Token: ${gateway.token}`];
    const printed = await tell('curl', '-sSf', ...auth, '-T', file, url);
    expect(JSON.parse(printed)).toMatchObject({ path: 'curl/up.bin', sha256: sha256(bytes) });
    const out = join(folder, 'down.bin');
    await tell('curl', '-sSf', ...auth, '-o', out, `${url}up.bin`);
    expect(sha256(readFileSync(out))).toBe(sha256(bytes));
    await remove('ann/curl');
  });
});

/** How many file requests the gateway is answering. */
async function inFlight(): Promise<number> {
  const headers = { 'X-Auth-Token': gateway.token };
  const text = await (await fetch(`${gateway.url}/metrics`, { headers })).text();
  return Number(/^cellhouse_file_requests_in_flight (\d+)$/m.exec(text)?.[1]);
}

describe('a reader that stops reading', () => {
  it('is disconnected after SLOW_READER_TIMEOUT_MS, and blocks nobody', async () => {
    await put('ann/large', Buffer.alloc(30_000_000));
    const answer = await openFiles(gateway, { method: 'GET', path: 'ann/large' });
    answer.pause();
    expect(await inFlight()).toBe(1);
    expect((await get('ann/digits')).status).toBe(200);
    await until('the gateway has cut the connection', async () => (await inFlight()) === 0);
    const broken = once(answer, 'error');
    answer.resume();
    await broken;
    await remove('ann/large');
  });
});

describe('a folder', () => {
  it('is downloaded as tar and uploaded again, and is downloaded as zip', async () => {
    await run(
      `import os
os.makedirs('tree/a/b', exist_ok=True)
open('tree/one.txt', 'w').write('1')
open('tree/a/b/zwei.txt', 'w').write('22') and None`,
    );
    const tar = await get('ann/tree?archive=tar');
    expect(tar.headers).toMatchObject({
      ...SAFE,
      'content-type': 'application/x-tar',
      'content-disposition': 'attachment; filename=tree.tar',
    });
    writeFileSync(join(folder, 'tree.tar'), tar.body);
    const names = await tell('tar', '-tf', join(folder, 'tree.tar'));
    expect(names).toContain('zwei.txt');
    const put2 = await put('ann/copy?archive=tar', tar.body);
    expect([put2.status, JSON.parse(put2.body.toString())]).toEqual([
      200,
      { files: 2, sha256: sha256(tar.body) },
    ]);
    expect(await run('import os; print(sorted(n for _, _, f in os.walk("copy") for n in f))')).toBe(
      "['one.txt', 'zwei.txt']",
    );
    const zip = await get('ann/tree?archive=zip');
    writeFileSync(join(folder, 'tree.zip'), zip.body);
    const listed = `import sys, zipfile; print(sorted(zipfile.ZipFile(sys.argv[1]).namelist()))`;
    const inZip = await tell('python3', '-c', listed, join(folder, 'tree.zip'));
    expect(inZip).toContain('zwei.txt');
    const head = await ask({ method: 'HEAD', path: 'ann/tree?archive=zip' });
    expect([head.status, head.headers['content-type']]).toEqual([200, 'application/zip']);
    expect((await remove('ann/tree')).status).toBe(204);
    expect(
      await installation.sql`SELECT path FROM audit.files WHERE source = 'api' AND outcome = 'UNKNOWN' AND operation <> 'extract'`,
    ).toEqual([]);
  });
});
