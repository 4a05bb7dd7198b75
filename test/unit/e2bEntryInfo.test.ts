/** Paths as callers of envd give them, and files as envd describes them. */
import { describe, expect, it } from 'vitest';
import { sandboxPath } from '../../src/doors/e2b/envd/files.ts';
import { entryInfoOf } from '../../src/doors/e2b/envd/watchEvents.ts';
import { entryOf } from '../support/filesInMemory.ts';

describe('a path', () => {
  it.each([
    ['', '/home/user'],
    ['.', '/home/user'],
    ['~', '/home/user'],
    ['~/', '/home/user'],
    ['~/a', '/home/user/a'],
    ['a/./b//c/', '/home/user/a/b/c'],
    ['../other', '/home/other'],
    ['../../../..', '/'],
    ['/', '/'],
    ['/a/../b/', '/b'],
    ['a~b', '/home/user/a~b'],
    ['/~', '/~'],
    [' ', '/home/user/ '],
  ])('%j is %s', (given, path) => {
    expect(sandboxPath(given)).toBe(path);
  });

  it.each(['~root', '~root/a', '~~'])('%s is refused', (given) => {
    expect(() => sandboxPath(given)).toThrow('user-specific');
  });
});

describe('an entry', () => {
  it('of a file has its facts', () => {
    expect(entryInfoOf(entryOf('a/b.txt', { size: 2 ** 40, mode: 0o640 }))).toEqual({
      name: 'b.txt',
      type: 'FILE_TYPE_FILE',
      path: '/home/user/a/b.txt',
      size: '1099511627776',
      mode: 0o640,
      permissions: '-rw-r-----',
      owner: 'user',
      group: 'user',
      modifiedTime: '2026-01-02T03:04:05.678Z',
    });
  });

  it.each([
    ['.', '/home/user', 'user'],
    ['/', '/', '/'],
    ['/tmp', '/tmp', 'tmp'],
  ])('at %s has the path %s', (given, path, name) => {
    expect(entryInfoOf(entryOf(given))).toMatchObject({ path, name });
  });

  it.each([
    ['directory', 0o755, 'FILE_TYPE_DIRECTORY', 'drwxr-xr-x', 0o755],
    ['directory', 0o1777, 'FILE_TYPE_DIRECTORY', 'dtrwxrwxrwx', 0o777],
    ['file', 0o6711, 'FILE_TYPE_FILE', 'ugrwx--x--x', 0o711],
    ['other', 0o600, 'FILE_TYPE_UNSPECIFIED', '?rw-------', 0o600],
  ] as const)('of a %s with mode %o', (kind, given, type, permissions, mode) => {
    expect(entryInfoOf(entryOf('a', { kind, mode: given }))).toMatchObject({
      type,
      permissions,
      mode,
    });
  });

  it('of a link has the type and mode of its target', () => {
    const link = { kind: 'link', mode: 0o777, target: '../b' } as const;
    const leadsTo = { path: '/home/user/c', kind: 'directory', mode: 0o750 } as const;
    expect(entryInfoOf(entryOf('a/l', { ...link, leadsTo }))).toMatchObject({
      type: 'FILE_TYPE_DIRECTORY',
      mode: 0o750,
      permissions: 'Lrwxrwxrwx',
      size: '4',
      symlinkTarget: '/home/user/c',
    });
    expect(entryInfoOf(entryOf('a/l', { ...link, leadsTo: null }))).toMatchObject({
      type: 'FILE_TYPE_UNSPECIFIED',
      mode: 0,
      symlinkTarget: '/home/user/a/l',
    });
  });

  it('has a valid date, whatever time a worker reports', () => {
    for (const modifiedAt of [Number.MAX_VALUE, -Number.MAX_VALUE, 0.5])
      expect(entryInfoOf(entryOf('a', { modifiedAt }))).toMatchObject({
        modifiedTime: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      });
  });
});
