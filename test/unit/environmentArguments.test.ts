import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { environmentArguments } from '../../src/cli/environment.ts';

const folder = mkdtempSync(join(tmpdir(), 'ch-arguments-'));
afterAll(() => rmSync(folder, { recursive: true }));
const file = (name: string, text: string) => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};
const parse = (line: string) => environmentArguments(line.split(' '));

const NOTHING = { apt: [], pip: [], index: null, setup: null, preload: [], rebuild: false };
const HERE = { url: undefined, tokenFile: undefined };

describe('cellhouse environment', () => {
  it('create takes lists of words, up to the next option', () => {
    expect(parse('create science --apt jq units --pip alpha==1.0 beta --preload alpha')).toEqual({
      ...{ ...HERE, type: 'create', isWatched: false },
      input: {
        ...{ ...NOTHING, name: 'science', apt: ['jq', 'units'], pip: ['alpha==1.0', 'beta'] },
        preload: ['alpha'],
      },
    });
    const line =
      'create --watch --rebuild --token-file t --url http://a science --apt=jq --apt units';
    expect(parse(line)).toMatchObject({
      ...{ isWatched: true, url: 'http://a', tokenFile: 't' },
      input: { name: 'science', apt: ['jq', 'units'], rebuild: true },
    });
  });

  it('create reads the named files, and distinguishes a folder from a URL', () => {
    const requirements = file('requirements.txt', 'alpha==1.0\r\n# a comment\n');
    const setup = file('setup.sh', '#!/bin/sh\n');
    const line = `create a --pip beta --requirements ${requirements} --setup ${setup} --index`;
    expect(parse(`${line} wheels`)).toMatchObject({
      input: {
        ...{ pip: ['beta', 'alpha==1.0', '# a comment', ''], setup: '#!/bin/sh\n' },
        index: resolve('wheels'),
      },
    });
    const url = 'https://index.example/simple/';
    expect(parse(`${line} ${url}`)).toMatchObject({ input: { index: url } });
  });

  it('list, show, remove and build take their options', () => {
    expect(parse('list --json')).toEqual({ ...HERE, type: 'list', isJson: true });
    const show = { ...HERE, type: 'show', name: 'a', version: 2, isJson: false };
    expect(parse('show a --version 2')).toEqual(show);
    expect(parse('remove a')).toEqual({ ...HERE, type: 'remove', name: 'a' });
    expect(parse('build a --watch')).toEqual({ ...HERE, type: 'watch', name: 'a', version: null });
    const rebuild = { ...HERE, type: 'rebuild', name: 'a', isWatched: true };
    expect(parse('build a --rebuild --watch')).toEqual(rebuild);
  });

  it.each([
    ['', 'needs create'],
    ['make a', 'needs create'],
    ['create', 'Name one'],
    ['create a b', 'Name one'],
    ['list a', 'takes no name'],
    ['create a --apt', '--apt needs a value'],
    ['create a --index x --index y', 'given twice'],
    ['create a --colour red', 'no option --colour'],
    ['create a --watch=yes', 'takes no value'],
    ['create a --setup /nowhere', '--setup cannot be read'],
    ['show a --version new', '--version must be'],
    ['build a', '--watch, --rebuild or both'],
    ['build a --rebuild --version 1', 'leave out --version'],
    ['remove a --json', 'no option --json'],
  ])('refuses %j', (line, message) => {
    expect(() => parse(line)).toThrow(message);
  });
});
