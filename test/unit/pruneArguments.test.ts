import { describe, expect, it } from 'vitest';
import { pruneArguments } from '../../src/cli/prune.ts';

describe('pruneArguments', () => {
  it('reads days and a file', () => {
    expect(pruneArguments(['--older-than-days', '90'])).toEqual({ days: 90, archivePath: null });
    expect(pruneArguments(['--older-than-days=1', '--archive', 'a.ndjson'])).toEqual({
      days: 1,
      archivePath: 'a.ndjson',
    });
  });

  it.each([
    [[], 'must be a whole number'],
    [['--older-than-days', '0'], 'not "0"'],
    [['--older-than-days', '1.5'], 'not "1.5"'],
    [['--older-than-days=-3'], 'not "-3"'],
    [['--older-than-days', '9', '--archive='], 'name of a file'],
    [['--older-than-days', '9', 'more'], 'cellhouse --help'],
    [['--days', '9'], 'cellhouse --help'],
  ])('refuses %j', (words, message) => {
    expect(() => pruneArguments(words)).toThrow(message);
  });
});
