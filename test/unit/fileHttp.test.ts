import { parse } from 'content-disposition';
import { describe, expect, it } from 'vitest';
import { parsePathBytes } from '../../src/domain/filePath.ts';
import { fileUrlOf, isBadFileUrl, parseFileUrl } from '../../src/domain/fileUrl.ts';
import {
  archiveHeaders,
  FILE_ANSWER_HEADERS,
  mediaTypeOf,
  typeHeaders,
} from '../../src/server/http/files/fileAnswers.ts';
import {
  isMatch,
  isNoneMatch,
  mayAnswerRange,
  rangeOf,
  versionsIn,
} from '../../src/server/http/files/requestHeaders.ts';
import { fc } from '../support/seeded.ts';

describe('the URL of a file', () => {
  const parsed = (target: string) => {
    const url = parseFileUrl(target);
    return isBadFileUrl(url) ? url.field : [url.userUuid, url.path.toString('latin1')];
  };

  it.each([
    ['/files/ann/a.csv', ['ann', 'a.csv']],
    ['/files/ann/data/a.csv', ['ann', 'data/a.csv']],
    ['/files/ann//tmp/a.csv', ['ann', '/tmp/a.csv']],
    ['/files/ann', ['ann', '']],
    ['/files/ann/', ['ann', '']],
    ['/files/ann/?archive=tar', ['ann', '']],
    ['/files/a%2Fb/c', ['a/b', 'c']],
    ['/files/ann/%C3%A9%20%22.txt', ['ann', '\xc3\xa9 ".txt']],
    ['/files/ann/..%252f', ['ann', '..%2f']],
    ['/files/ann/%ff', ['ann', '\xff']],
    ['/files/ann/a%00b', ['ann', 'a\0b']],
    ['/files/ann/a%3Fb', ['ann', 'a?b']],
    ['/files/ann/a+b', ['ann', 'a+b']],
  ])('%s', (target, expected) => {
    expect(parsed(target)).toEqual(expected);
  });

  it.each([
    ['/files/ann/..%2fb', 'path'],
    ['/files/ann/%2Ftmp', 'path'],
    ['/files/ann/../b', 'path'],
    ['/files/ann/%2e%2e/b', 'path'],
    ['/files/ann/./b', 'path'],
    ['/files/ann/a%', 'path'],
    ['/files/ann/a%zz', 'path'],
    ['/files/%ff/a', 'userUuid'],
    ['/files/%/a', 'userUuid'],
    ['/files/ann/a?archive=rar', 'archive'],
    ['/files/ann/a?inline=no', 'inline'],
    ['/files/ann/a?token=secret', 'query'],
  ])('%s is refused', (target, field) => {
    expect(parsed(target)).toBe(field);
  });

  it('has options', () => {
    expect(parseFileUrl('/files/ann/d?archive=zip')).toMatchObject({ archive: 'zip' });
    expect(parseFileUrl('/files/ann/d?inline')).toMatchObject({ isInline: true, archive: null });
  });

  it('is made from any user and path, and parsed to them again', () => {
    const name = fc
      .uint8Array({ minLength: 1, maxLength: 8 })
      .map((bytes) => Buffer.from(bytes))
      .filter((bytes) => !bytes.includes('/') && !['.', '..'].includes(bytes.toString('latin1')));
    const user = fc.string({ unit: 'grapheme', minLength: 1 });
    fc.assert(
      fc.property(user, fc.array(name, { maxLength: 4 }), (userUuid, names) => {
        const path = Buffer.from(names.map((part) => part.toString('latin1')).join('/'), 'latin1');
        expect(parseFileUrl(fileUrlOf(userUuid, path))).toMatchObject({ userUuid, path });
      }),
    );
  });
});

describe('the URL that is made', () => {
  it.each([
    ['.', '/files/ann/'],
    ['/', '/files/ann//'],
    ['a b/c', '/files/ann/a%20b/c'],
    ['/tmp/a', '/files/ann//tmp/a'],
  ])('of %j is %s, and leads there', (path, url) => {
    expect(fileUrlOf('ann', Buffer.from(path))).toBe(url);
    const parsed = parseFileUrl(url);
    if (isBadFileUrl(parsed)) throw new Error(parsed.problem);
    expect(parsePathBytes(parsed.path)).toMatchObject({ text: path });
  });
});

describe('a range', () => {
  it.each([
    [undefined, 10, 'whole'],
    ['bytes=0-3', 10, { first: 0, last: 3 }],
    ['bytes=4-', 10, { first: 4, last: 9 }],
    ['bytes=4-99', 10, { first: 4, last: 9 }],
    ['bytes=-3', 10, { first: 7, last: 9 }],
    ['bytes=-99', 10, { first: 0, last: 9 }],
    ['bytes=0-0', 1, { first: 0, last: 0 }],
    ['Bytes= 1-2 ', 10, { first: 1, last: 2 }],
    ['bytes=10-', 10, 'none'],
    ['bytes=99999999999999999999-', 10, 'none'],
    ['bytes=-0', 10, 'none'],
    ['bytes=-1', 0, 'none'],
    ['bytes=0-', 0, 'none'],
    ['bytes=3-1', 10, 'whole'],
    ['bytes=-', 10, 'whole'],
    ['bytes=a-b', 10, 'whole'],
    ['bytes=0-1,3-4', 10, 'whole'],
    ['lines=0-1', 10, 'whole'],
  ] as const)('%s of %d bytes', (header, size, expected) => {
    expect(rangeOf(header, size)).toEqual(expected);
  });

  it('is answered only for the version that If-Range names', () => {
    expect(mayAnswerRange(undefined, '"v1"')).toBe(true);
    expect(mayAnswerRange('"v1"', '"v1"')).toBe(true);
    expect(mayAnswerRange('"v0"', '"v1"')).toBe(false);
    expect(mayAnswerRange('W/"v1"', '"v1"')).toBe(false);
    expect(mayAnswerRange('Fri, 27 Nov 2026 09:00:00 GMT', '"v1"')).toBe(false);
  });
});

describe('conditions', () => {
  it.each([
    ['"v1"', true, false],
    ['"v0", "v1"', true, false],
    ['W/"v1"', false, false],
    ['"a,b"', false, true],
    ['*', true, false],
    ['"v0"', false, true],
  ])('%s for the version "v1"', (header, match, noneMatch) => {
    const versions = versionsIn(header);
    if (versions == null) throw new Error('not parsed');
    expect(isMatch(versions, '"v1"')).toBe(match);
    expect(isNoneMatch(versions, '"v1"')).toBe(noneMatch);
  });

  it('without a file, If-Match fails and If-None-Match holds', () => {
    expect(isMatch('any', null)).toBe(false);
    expect(isNoneMatch('any', null)).toBe(true);
  });

  it.each(['v1', '"v1', '', '"v1" "v2"', '*, "v1"'])('%j is not well formed', (header) => {
    expect(versionsIn(header)).toBeUndefined();
  });
});

describe('the type of a file', () => {
  it.each([
    ['a.csv', 'text/csv'],
    ['b.xlsx', 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet'],
    ['c.PNG', 'image/png'],
    ['noext', 'application/octet-stream'],
    ['.bashrc', 'application/octet-stream'],
    ['page.html', 'text/html'],
  ])('%s is %s', (name, type) => {
    expect(mediaTypeOf(name)).toBe(type);
  });

  it.each([
    ['a.png', 'inline', 'image/png'],
    ['a.csv', 'inline', 'text/plain; charset=utf-8'],
    ['a.txt', 'inline', 'text/plain; charset=utf-8'],
    ['a.json', 'inline', 'text/plain; charset=utf-8'],
    ['a.svg', 'attachment', 'image/svg+xml'],
    ['a.html', 'attachment', 'text/html'],
    ['a.xhtml', 'attachment', 'application/xhtml+xml'],
    ['a.xml', 'attachment', 'application/xml'],
    ['a.pdf', 'attachment', 'application/pdf'],
    ['a.js', 'attachment', 'text/javascript'],
    ['a', 'attachment', 'application/octet-stream'],
  ])('%s, asked for inline, is %s as %s', (name, disposition, type) => {
    const headers = typeHeaders(name, true);
    expect(headers['Content-Disposition']).toMatch(new RegExp(`^${disposition}; `));
    expect(headers['Content-Type']).toBe(type);
    expect(typeHeaders(name, false)['Content-Disposition']).toMatch(/^attachment; /);
  });

  it('keeps its name, whatever the name is', () => {
    const bad = /[^\x20-\x7e]/;
    const names = fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 60 })
      .filter((name) => !name.includes('/'));
    fc.assert(
      fc.property(names, (name) => {
        const header = typeHeaders(name, false)['Content-Disposition'] ?? '';
        expect(header).not.toMatch(bad);
        const readable = name.replace(/\p{Cc}/gu, '_');
        expect(parse(header).parameters.filename).toBe(readable);
      }),
    );
    expect(typeHeaders('naïve "é"\n.csv', false)['Content-Disposition']).toContain("UTF-8''na");
    expect(archiveHeaders('data', 'zip')).toEqual({
      'Content-Type': 'application/zip',
      'Content-Disposition': 'attachment; filename=data.zip',
    });
    expect(archiveHeaders('.', 'tar')['Content-Disposition']).toContain('home.tar');
  });
});

describe('every answer with a file', () => {
  it('is told to the browser as something that is not a page of this origin', () => {
    expect(FILE_ANSWER_HEADERS).toMatchObject({
      'Content-Disposition': 'attachment',
      'Content-Security-Policy': 'sandbox',
      'X-Content-Type-Options': 'nosniff',
    });
  });
});
