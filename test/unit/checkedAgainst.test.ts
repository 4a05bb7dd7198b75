import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const SOURCES = new URL('../../src/', import.meta.url).pathname;
const PACKAGES = new URL('../../node_modules/', import.meta.url).pathname;
const SENTENCE = /Checked against (\S+) (\d[\d.]*\d)/g;

/** The installed version. V8's version is cut to as many parts as `checked`, because nobody writes all parts. */
function installed(library: string, checked: string): string {
  if (library === 'V8') {
    return process.versions.v8.split('.').slice(0, checked.split('.').length).join('.');
  }
  return JSON.parse(readFileSync(join(PACKAGES, library, 'package.json'), 'utf8')).version;
}

const files = readdirSync(SOURCES, { recursive: true, encoding: 'utf8' }).filter((file) =>
  file.endsWith('.ts'),
);
/** A file may have been checked against V8 of several versions of Node. */
const sentences = files.flatMap((file) => {
  const found = [...readFileSync(join(SOURCES, file), 'utf8').matchAll(SENTENCE)];
  return [...new Set(found.map(([, library = '']) => library))].map((library) => ({
    file,
    library,
    checked: found.filter((each) => each[1] === library).map(([, , version = '']) => version),
  }));
});

// If one of these fails, read what has changed in the library before you change the sentence.
describe('code that depends on the insides of a library', () => {
  it.each(sentences)('$file was checked against the installed $library', (sentence) => {
    const { library, checked } = sentence;
    expect(checked).toContain(installed(library, checked[0] ?? ''));
  });

  it('says what it was checked against', () => {
    expect(sentences.map(({ library }) => library).sort()).toEqual([
      'V8',
      'graphql',
      'graphql-yoga',
      'postgres',
    ]);
  });
});
