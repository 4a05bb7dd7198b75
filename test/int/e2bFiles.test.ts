/**
 * Every answer of `/files` at the E2B door. The service keeps files in memory; e2bFilesystem.test.ts has real files.
 */
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { DomainError, type ErrorCode } from '../../src/domain/errors.ts';
import { serveFiles } from '../../src/doors/e2b/envd/files.ts';
import type { SandboxCall } from '../../src/doors/e2b/sandbox.ts';
import { startEnvd } from '../support/e2b/envd.ts';
import { FilesInMemory } from '../support/filesInMemory.ts';

const OCTETS = { 'Content-Type': 'application/octet-stream' };

async function start(facts: Partial<SandboxCall> = {}, failure: DomainError | null = null) {
  const files = new FilesInMemory(failure);
  const server = await startEnvd(serveFiles, facts, files.operations());
  const post = async (query: string, body: BodyInit, headers: Record<string, string> = {}) => {
    const answer = await server.ask(`/files${query}`, { method: 'POST', body, headers });
    return [answer.status, await answer.json()];
  };
  const get = (query: string, headers: Record<string, string> = {}) =>
    server.ask(`/files${query}`, { headers });
  return { ...server, files, post, get };
}

const error = (code: number, message: string | RegExp) => ({
  code,
  message: typeof message === 'string' ? message : expect.stringMatching(message),
});

describe('a download', () => {
  it('has the bytes of the file and their number, and headers that keep it from acting as a page of the gateway', async () => {
    const { get, files } = await start();
    files.put('/home/user/a b.txt', 'hällo');
    const answer = await get('?path=a+b.txt');
    expect([answer.status, await answer.text()]).toEqual([200, 'hällo']);
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'content-length': '6',
      'content-type': 'text/plain',
      'content-security-policy': 'sandbox',
      'content-disposition': 'attachment; filename="a b.txt"',
    });
    expect(answer.headers.get('content-encoding')).toBe(null);
  });

  it('of an empty file has the length 0', async () => {
    const { get, files } = await start();
    files.put('/tmp/empty', '');
    const answer = await get('?path=/tmp/empty&username=user');
    expect([answer.status, answer.headers.get('content-length'), await answer.text()]).toEqual([
      200,
      '0',
      '',
    ]);
  });

  it('of a range has that part', async () => {
    const { get, files } = await start();
    files.put('/home/user/a', '0123456789');
    const answer = await get('?path=a', { Range: 'bytes=2-4' });
    expect([answer.status, await answer.text()]).toEqual([206, '234']);
    expect(answer.headers.get('content-range')).toBe('bytes 2-4/10');
    const beyond = await get('?path=a', { Range: 'bytes=10-' });
    expect([beyond.status, await beyond.json()]).toEqual([416, error(416, /10 bytes/)]);
    expect(beyond.headers.get('content-range')).toBe('bytes */10');
  });

  it.each([
    ['?path=missing', 404, /missing/],
    ['?path=~', 400, /folder/],
    ['', 400, /folder/],
    ['?path=~root/a', 400, /user-specific home/],
    ['?path=a%00b', 400, /U\+0000/],
    ['?path=a&username=root', 401, /^invalid username$/],
  ])('of %s is refused with %i', async (query, status, message) => {
    const { get } = await start();
    const answer = await get(query);
    expect([answer.status, await answer.json()]).toEqual([status, error(status, message)]);
  });
});

describe('an upload of raw bytes', () => {
  it.each([
    ['a.txt', '/home/user/a.txt'],
    ['~/b/../c.txt', '/home/user/c.txt'],
    ['/tmp//d.txt', '/tmp/d.txt'],
    ['ü%2F"?.txt', '/home/user/ü%2F"?.txt'],
  ])('to %s writes %s', async (given, path) => {
    const { post, files } = await start();
    const name = path.split('/').at(-1);
    const query = `?path=${encodeURIComponent(given)}`;
    expect(await post(query, 'content', OCTETS)).toEqual([200, [{ name, path, type: 'file' }]]);
    expect(files.text(path)).toBe('content');
  });

  it('may be compressed', async () => {
    const { post, files } = await start();
    const body = gzipSync('x'.repeat(100_000));
    const headers = { ...OCTETS, 'Content-Encoding': 'gzip' };
    expect((await post('?path=a', body, headers))[0]).toBe(200);
    expect(files.text('/home/user/a')).toBe('x'.repeat(100_000));
    expect(await post('?path=b', 'no gzip', headers)).toEqual([400, error(400, /no gzip/)]);
    expect(await post('?path=b', body.subarray(0, 50), headers)).toEqual([400, error(400, /gzip/)]);
    const brotli = { ...OCTETS, 'Content-Encoding': 'br' };
    expect(await post('?path=b', 'x', brotli)).toEqual([400, error(400, /Content-Encoding/)]);
    expect(files.text('/home/user/b')).toBe(null);
  });

  it('may be empty', async () => {
    const { post, files } = await start();
    expect((await post('?path=a', '', OCTETS))[0]).toBe(200);
    expect(files.text('/home/user/a')).toBe('');
  });

  it.each<[string, Record<string, string>, number, RegExp]>([
    ['', OCTETS, 400, /`path`/],
    ['?path=', OCTETS, 400, /must name a file/],
    ['?path=a', { 'Content-Type': 'text/plain' }, 400, /Content-Type/],
    ['?path=a', { ...OCTETS, 'X-Metadata-Key': 'v' }, 400, /Metadata of files/],
    ['?path=a&username=root', OCTETS, 401, /^invalid username$/],
  ])('to %j with %j is refused with %i', async (query, headers, status, message) => {
    const { post, files } = await start();
    expect(await post(query, 'x', headers)).toEqual([status, error(status, message)]);
    expect(files.paths()).toEqual([]);
  });

  it.each<[ErrorCode, number]>([
    ['IS_A_DIRECTORY', 400],
    ['NOT_A_DIRECTORY', 400],
    ['FILE_ACCESS_DENIED', 403],
    ['FILE_TOO_LARGE', 413],
    ['FILES_BUSY', 429],
    ['FILES_UNAVAILABLE', 503],
    ['NO_SPACE', 507],
  ])('that fails with %s is refused with %i', async (code, status) => {
    const { post } = await start({}, new DomainError(code, 'Why.', { retryAfterMs: 1_000 }));
    expect(await post('?path=a', 'x', OCTETS)).toEqual([status, error(status, 'Why.')]);
  });

  it('whose sandbox has ended is answered by the door', async () => {
    const ended = new DomainError('SESSION_ENDED', 'It has ended.');
    const { post } = await start({ hasEnded: async () => true }, ended);
    expect(await post('?path=a', 'x', OCTETS)).toEqual([409, error(409, 'It has ended.')]);
  });

  it('by another verb is refused', async () => {
    const { ask } = await start();
    const answer = await ask('/files?path=a', { method: 'PUT', body: 'x' });
    expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'GET, POST']);
  });
});

describe('an upload as a form', () => {
  function formOf(...files: [string, string][]): FormData {
    const form = new FormData();
    for (const [name, content] of files) form.append('file', new Blob([content]), name);
    return form;
  }

  it('writes each file to the path that its file name gives', async () => {
    const { post, files } = await start();
    const form = formOf(
      ['dir/a.txt', 'A'],
      ['/tmp/b "1"\n.txt', 'B'],
      ['ü.txt', ''],
      ['a\\b', 'C'],
    );
    form.append('other', 'left out');
    form.append('else', new Blob(['left out']), 'else.txt');
    const written = (path: string, name: string) => ({ name, path, type: 'file' });
    expect(await post('', form)).toEqual([
      200,
      [
        written('/home/user/dir/a.txt', 'a.txt'),
        written('/tmp/b "1"\n.txt', 'b "1"\n.txt'),
        written('/home/user/ü.txt', 'ü.txt'),
        written('/home/user/a\\b', 'a\\b'),
      ],
    ]);
    expect(files.paths()).toHaveLength(4);
    expect(files.text('/tmp/b "1"\n.txt')).toBe('B');
  });

  it('writes its file to the path in the query', async () => {
    const { post, files } = await start();
    expect(await post('?path=%2Ftmp%2Fa', formOf(['ignored', 'A']))).toEqual([
      200,
      [{ name: 'a', path: '/tmp/a', type: 'file' }],
    ]);
    expect(files.paths()).toEqual(['/tmp/a']);
  });

  it('may be compressed as a whole', async () => {
    const { post, files } = await start();
    const form = new Response(formOf(['a', 'A']));
    const headers = {
      'Content-Type': form.headers.get('content-type') ?? '',
      'Content-Encoding': 'gzip',
    };
    const body = gzipSync(Buffer.from(await form.arrayBuffer()));
    expect((await post('', body, headers))[0]).toBe(200);
    expect(files.text('/home/user/a')).toBe('A');
  });

  it.each<[string, FormData, string, RegExp]>([
    ['without a file', formOf(), '', /no part called `file`/],
    ['with two files for one path', formOf(['a', '1'], ['./a', '2']), '', /more than one file/],
    ['with two files for the path', formOf(['a', '1'], ['b', '2']), '?path=c', /more than one/],
    ['with a file without a name', formOf(['', '1']), '', /needs a file name/],
  ])('%s is refused', async (_what, form, query, message) => {
    const { post } = await start();
    expect(await post(query, form)).toEqual([400, error(400, message)]);
  });

  it.each([
    ['no form', 'multipart/form-data; boundary=x', 'no form'],
    ['no boundary', 'multipart/form-data', '--x'],
    [
      'half a form',
      'multipart/form-data; boundary=x',
      '--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nhalf',
    ],
    [
      'a form that breaks off behind a file',
      'multipart/form-data; boundary=x',
      '--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nA\r\n--x',
    ],
  ])('that is %s is refused', async (_what, type, body) => {
    const { post, files } = await start();
    const answer = await post('', body, { 'Content-Type': type });
    expect(answer).toEqual([400, error(400, /no whole form/)]);
    expect(files.text('/home/user/a')).not.toBe('half');
  });

  it.each([
    [
      'with too many bytes that belong to no file',
      `Content-Disposition: form-data; name="other"\r\n\r\n${'x'.repeat(2 ** 22)}`,
      /bytes beside/,
    ],
    [
      'with too many parts',
      Array(20_001).fill('Content-Disposition: form-data; name="o"\r\n\r\n').join('\r\n--x\r\n'),
      /at most|bytes beside/,
    ],
  ])('%s is refused', async (_what, part, message) => {
    const { post, files } = await start();
    const file = 'Content-Disposition: form-data; name="file"; filename="a"\r\n\r\nA';
    const body = gzipSync(`--x\r\n${part}\r\n--x\r\n${file}\r\n--x--\r\n`);
    const headers = {
      'Content-Type': 'multipart/form-data; boundary=x',
      'Content-Encoding': 'gzip',
    };
    expect(await post('', body, headers)).toEqual([400, error(400, message)]);
    expect(files.paths()).toEqual([]);
  });

  it('writes a file under its name, even if the name comes after long headers', async () => {
    const { post, files } = await start();
    const filler = `X-Filler: ${'x'.repeat(60_000)}\r\n`.repeat(2) + 'X-A: b\r\n'.repeat(40);
    const file = 'Content-Disposition: form-data; name="file"; filename="dir/name"\r\n\r\nA';
    const body = `--x\r\n${filler}${file}\r\n--x--\r\n`;
    const headers = { 'Content-Type': 'multipart/form-data; boundary=x' };
    expect((await post('', body, headers))[0]).toBe(200);
    expect(files.paths()).toEqual(['/home/user/dir/name']);
  });

  it('stops at the first file that cannot be written', async () => {
    const { post, files } = await start({}, new DomainError('NO_SPACE', 'It is full.'));
    const big = 'x'.repeat(1_048_576);
    const answer = await post('', formOf(['a', big], ['b', big]));
    expect(answer).toEqual([507, error(507, 'It is full.')]);
    expect(files.paths()).toEqual([]);
  });

  it('of a signed URL without a path only writes below the home', async () => {
    const { post, files } = await start({ isSigned: true });
    for (const name of ['/tmp/a', '../a', '/etc/passwd', '~/../../a', '/home/user2/a'])
      expect(await post('', formOf([name, 'x']))).toEqual([400, error(400, /below the home/)]);
    expect(files.paths()).toEqual([]);
    expect((await post('', formOf(['a/b', 'x'], ['/home/user/c', 'x'])))[0]).toBe(200);
    expect((await post('?path=/tmp/a', formOf(['b', 'x'])))[0]).toBe(200);
    expect(files.paths()).toEqual(['/home/user/a/b', '/home/user/c', '/tmp/a']);
  });
});

it('a client that goes away while it sends a file leaves nothing behind', async () => {
  const { ask, files, log } = await start();
  const sending = new AbortController();
  const body = new ReadableStream({
    start: (controller) => controller.enqueue(new TextEncoder().encode('half')),
  });
  const asked = ask('/files?path=a', {
    ...{ method: 'POST', body, headers: OCTETS, signal: sending.signal },
    ...{ duplex: 'half' },
  } as RequestInit);
  await files.begun;
  sending.abort();
  await expect(asked).rejects.toThrow();
  await expect(files.last).rejects.toThrow();
  expect(files.paths()).toEqual([]);
  expect(log).toEqual([]);
});
