import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const SOURCES = new URL('../../src/', import.meta.url).pathname;
const PACKAGES = new URL('../../node_modules/', import.meta.url).pathname;
const SENTENCE = /Checked against (\S+) (\d[\d.]*\d)/g;

/** The installed version, as far as `checked` gives it: V8's is longer than anybody writes down. */
function installed(library: string, checked: string): string {
  if (library === 'V8') {
    return process.versions.v8.split('.').slice(0, checked.split('.').length).join('.');
  }
  return JSON.parse(readFileSync(join(PACKAGES, library, 'package.json'), 'utf8')).version;
}

const files = readdirSync(SOURCES, { recursive: true, encoding: 'utf8' }).filter((file) =>
  file.endsWith('.ts'),
);
const sentences = files.flatMap((file) =>
  [...readFileSync(join(SOURCES, file), 'utf8').matchAll(SENTENCE)].map(
    ([, library = '', checked = '']) => ({ file, library, checked }),
  ),
);

// If one of these fails, read what has changed in the library before you change the sentence.
describe('code that depends on the insides of a library', () => {
  it.each(sentences)('$file was checked against the installed $library', (sentence) => {
    const { library, checked } = sentence;
    expect(checked).toBe(installed(library, checked));
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
