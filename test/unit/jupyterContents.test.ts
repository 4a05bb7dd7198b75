/** Files as Jupyter's contents API shows them. */
import { describe, expect, it } from 'vitest';
import type { FileEntry } from '../../src/domain/workerFiles.ts';
import { copyOf, homePath, inFolder, untitled } from '../../src/doors/jupyter/contents.ts';
import {
  fileModel,
  folderModel,
  modelOf,
  savedBytes,
} from '../../src/doors/jupyter/contentsModel.ts';
import { entryOf } from '../support/filesInMemory.ts';

const entry = (name: string, more: Partial<FileEntry> = {}): FileEntry =>
  entryOf(`d/${name}`, { size: 3, ...more });

describe('a model', () => {
  it('of a folder has what is in it, without names that begin with a dot', () => {
    const inside = [entry('a.ipynb'), entry('.hidden'), entry('e', { kind: 'directory' })];
    const home = entry('', { path: '.', kind: 'directory' });
    expect(folderModel(home, inside)).toMatchObject({
      name: '',
      path: '',
      type: 'directory',
      format: 'json',
      mimetype: null,
      size: null,
      content: [
        { name: 'a.ipynb', type: 'notebook', content: null, size: 3, writable: true },
        { name: 'e', type: 'directory', size: null },
      ],
    });
  });

  it('of a file has its text, or base64 if it is not text', () => {
    const text = fileModel(entry('a.txt'), Buffer.from('é'), 'file', null);
    expect(text).toMatchObject({ format: 'text', content: 'é', mimetype: 'text/plain' });
    const bytes = Buffer.from([0xff]);
    const binary = fileModel(entry('a.png'), bytes, 'file', null);
    expect(binary).toMatchObject({ format: 'base64', content: '/w==', mimetype: 'image/png' });
    expect(() => fileModel(entry('a'), bytes, 'file', 'text')).toThrow('UTF-8');
  });

  it('of a notebook has its parsed JSON', () => {
    const saved = savedBytes('notebook', 'json', { cells: [] }) ?? Buffer.alloc(0);
    const model = fileModel(entry('a.ipynb'), saved, 'notebook', null);
    expect(model).toMatchObject({ type: 'notebook', format: 'json', content: { cells: [] } });
    expect(() => fileModel(entry('a.ipynb'), Buffer.from('{'), 'notebook', null)).toThrow('JSON');
  });

  it('says whether its owner may write', () => {
    expect(modelOf(entry('a', { mode: 0o444 })).writable).toBe(false);
  });
});

describe('a name for a new file or folder', () => {
  it.each([
    ['notebook', '', [], 'Untitled.ipynb'],
    ['notebook', '', ['Untitled.ipynb'], 'Untitled1.ipynb'],
    ['notebook', '', ['Untitled.ipynb', 'Untitled1.ipynb'], 'Untitled2.ipynb'],
    ['file', '.txt', [], 'untitled.txt'],
    ['directory', '', ['Untitled Folder'], 'Untitled Folder 1'],
  ] as const)('%s %s beside %j is the first that is free', (type, extension, taken, name) => {
    expect(untitled(type, extension, new Set(taken))).toBe(name);
  });

  it.each([
    ['a.txt', ['a.txt'], 'a-Copy1.txt'],
    ['a-Copy1.txt', ['a-Copy1.txt'], 'a-Copy2.txt'],
    ['a', ['a', 'a-Copy1'], 'a-Copy2'],
  ])('as a copy of %s beside %j is %s', (name, taken, copy) => {
    expect(copyOf(name, new Set(taken))).toBe(copy);
  });
});

it('A path that a client sends is relative to the home', () => {
  expect(['', '/', '//', '/a/b/', '//a//b//', 'a'].map(homePath)).toEqual([
    ...['.', '.', '.'],
    ...['a/b', 'a//b', 'a'],
  ]);
  expect([inFolder('.', 'a'), inFolder('d', 'a')]).toEqual(['a', 'd/a']);
});

it('A path of megabytes of slashes takes no more time than its length', () => {
  // With a regular expression, a tenth of this took seconds: its time grew with the square of the length.
  const slashes = '/'.repeat(4_000_000);
  const begun = performance.now();
  expect(homePath(`a${slashes}b`)).toHaveLength(slashes.length + 2);
  expect(performance.now() - begun).toBeLessThan(2_000);
});
