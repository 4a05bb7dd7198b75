import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { arrowsIn } from '../../scripts/check-arrows.mjs';
import { drawRooms } from '../../scripts/drawRooms.mjs';

const ROOT = new URL('../../', import.meta.url).pathname;
const ARCHITECTURE = read('docs/internals/architecture.md');
const TESTING = read('docs/internals/testing.md');
const DOCUMENTS = [
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  'SECURITY.md',
  'bench/README.md',
  'bench/RESULTS.md',
  ...readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];
const FOLDERS = 'src|migrations|worker-image|public|scripts|examples|testkit|test|docs|bench|chaos';

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

/** The repository's own paths, as written in backticks. */
function pathsIn(text: string): string[] {
  const found = text.matchAll(new RegExp(`\`((?:${FOLDERS})(?:/[\\w./-]*)?)\``, 'g'));
  return [...new Set([...found].flatMap(([, path]) => path ?? []))];
}

/** The functions in the tables of a page, each with the files of its row. */
function functionsIn(text: string): { name: string; sources: readonly string[] }[] {
  const rows = text.split('\n').filter((line) => line.startsWith('|'));
  return rows.flatMap((row) => {
    const sources = pathsIn(row).filter((path) => /\.\w+$/.test(path));
    const names = [...row.matchAll(/`(#?\w+)\(\)`/g)].flatMap(([, name]) => name ?? []);
    return names.map((name) => ({ name, sources }));
  });
}

it.each([
  ['docs/internals/architecture.md', ARCHITECTURE, 30],
  ['docs/internals/testing.md', TESTING, 10],
])('%s names only functions that exist in a file of the same row', (_, text, atLeast) => {
  const named = functionsIn(text);
  expect(named.length).toBeGreaterThan(atLeast);
  const wrong = named.filter(
    ({ name, sources }) => !sources.some((path) => read(path).includes(name)),
  );
  expect(wrong).toEqual([]);
});

describe('docs/internals/architecture.md', () => {
  it('says what belongs in every folder of src', () => {
    const folders = readdirSync(join(ROOT, 'src'), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => `src/${name}`);
    const named = pathsIn(ARCHITECTURE);
    expect(folders.length).toBeGreaterThan(10);
    expect(folders.filter((folder) => !named.includes(folder))).toEqual([]);
  });
});

describe('the picture of rooms', () => {
  const importing = (...files: readonly string[]) =>
    files.map((file) => `import { thing } from '../${file}';\n`).join('');

  it('leaves out an arrow that other arrows imply', () => {
    const arrows = arrowsIn({
      'src/server/a.ts': importing('service/a.ts', 'pool/a.ts'),
      'src/service/a.ts': importing('pool/a.ts'),
    });
    const picture = 'flowchart TD\n  service --> pool\n  server --> service';
    expect(drawRooms(arrows)).toBe(picture);
  });

  it('has no arrow for imports of types, from rooms that nearly all import, and within a room', () => {
    const arrows = arrowsIn({
      'src/pool/a.ts': `import type { Thing } from '../runtime/a.ts';\n${importing('domain/a.ts')}`,
      'src/runtime/a.ts': importing('runtime/b.ts', 'async/pause.ts'),
    });
    expect(drawRooms(arrows)).toBe('flowchart TD');
  });
});

describe('the documents', () => {
  it.each(DOCUMENTS)('%s names only files that exist', (document) => {
    const text = read(document);
    const links = [...text.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(([, link = '']) =>
      join(dirname(document), link),
    );
    const missing = [...pathsIn(text), ...links].filter((path) => !existsSync(join(ROOT, path)));
    expect(missing).toEqual([]);
  });

  it.each(DOCUMENTS)('%s names only headings that exist', (document) => {
    const links = read(document).matchAll(/\]\(([\w./-]*)#([^)]+)\)/g);
    const missing = [...links].filter(([, path = '', anchor = '']) => {
      const target = path === '' ? document : join(dirname(document), path);
      return !anchorsOf(read(target)).includes(anchor);
    });
    expect(missing.map(([link]) => link)).toEqual([]);
  });
});

/** The anchors that GitHub makes of the headings. */
function anchorsOf(text: string): string[] {
  const headings = text.matchAll(/^#+ (.+)$/gm);
  return [...headings].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );
}
