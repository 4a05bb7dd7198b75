import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SETTINGS } from '../../src/config/config.ts';
import { commandOf, fences as fencesIn, readPage, USER_PAGES } from '../support/userPages.ts';

const ROOT = new URL('../../', import.meta.url).pathname;
const read = (path: string) => readFileSync(ROOT + path, 'utf8');
const README = read('README.md');
const PAGES = USER_PAGES.map(readPage).join('\n');
const EXAMPLES = `${ROOT}examples/`;
/** The paths of the files below examples/. */
const EXAMPLE_FILES = readdirSync(EXAMPLES, { recursive: true, encoding: 'utf8' }).filter((path) =>
  statSync(EXAMPLES + path).isFile(),
);
const MAX_LINES = 150;
const MAX_EXAMPLE_LINES = 25;

describe('the README', () => {
  it('is short, and so is each program in it and in the quickstart', () => {
    expect(README.split('\n').length - 1).toBeLessThanOrEqual(MAX_LINES);
    const short = `${README}\n${readPage('docs/use/quickstart.md')}`;
    const programs = [...fences('js', short), ...fences('python', short)];
    programs.push(...fences('sh', short).filter(isScript));
    expect(programs).toHaveLength(3);
    for (const program of programs)
      expect(program.split('\n').length - 1).toBeLessThanOrEqual(MAX_EXAMPLE_LINES);
  });
});

describe('the pages for users', () => {
  it.each(EXAMPLE_FILES)('say how to run examples/%s', (name) => {
    const lines = fences('sh').flatMap((snippet) => snippet.split('\n'));
    expect(lines.some((line) => line.split(' ').includes(`examples/${name}`))).toBe(true);
  });

  it('print only programs of examples/, unchanged', () => {
    const examples = EXAMPLE_FILES.map((path) => readFileSync(EXAMPLES + path, 'utf8'));
    const programs = [...fences('js'), ...fences('python'), ...fences('sh').filter(isScript)];
    expect(programs.length).toBeGreaterThanOrEqual(3);
    for (const program of programs) expect(examples).toContain(program);
  });
});

describe('docs/use/integrations.md', () => {
  const page = readPage('docs/use/integrations.md');

  it('shows every program of examples/integrations', () => {
    const files = EXAMPLE_FILES.filter((path) => path.startsWith('integrations/'));
    expect(files.length).toBeGreaterThanOrEqual(3);
    const programs = files.map((path) => readFileSync(EXAMPLES + path, 'utf8'));
    expect(fences('js', page).toSorted()).toEqual(programs.toSorted());
  });

  /** test/unit/clientsDoc.test.ts checks that clients.md has what `cellhouse doors` prints. */
  it('has what `cellhouse doors` prints for chats', () => {
    const clients = readPage('docs/use/doors/clients.md');
    const settings = [...fences('text', page), ...fences('yaml', page)];
    expect(settings).toHaveLength(3);
    for (const lines of settings) expect(clients).toContain(`\n\`\`\`text\n${lines}\`\`\`\n`);
  });
});

describe('CONTRIBUTING.md', () => {
  it('has recipes of at most six files, or eight for an entity', () => {
    const [, recipes = ''] = read('CONTRIBUTING.md').split('\n## Recipes\n');
    const sections = recipes.split('\n## ')[0]?.split('\n### ').slice(1) ?? [];
    expect(sections.length).toBeGreaterThanOrEqual(8);
    for (const section of sections) {
      const files = [...section.matchAll(/^(\d+)\. /gm)].map(([, number]) => Number(number));
      expect(files, section).toContain(1);
      expect(Math.max(...files), section).toBeLessThanOrEqual(/^An entity\n/.test(section) ? 8 : 6);
    }
  });
});

describe('docs/run/install.md', () => {
  it('names the present version', () => {
    const { version } = JSON.parse(read('package.json'));
    expect(commandOf('docs/run/install.md', 'npm install -g ')).toContain(`-${version}.tgz `);
  });

  it('names every variable that docker-compose.yml reads', () => {
    const names = [...read('docker-compose.yml').matchAll(/\$\{([A-Z_]+)/g)].map(
      ([, name]) => name,
    );
    expect(names.length).toBeGreaterThan(3);
    const page = read('docs/run/install.md');
    expect(names.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
  });
});

describe('docs/use/doors/predecessor.md', () => {
  it('opens its door beside those that are open by default', () => {
    const page = read('docs/use/doors/predecessor.md');
    const [, doors = ''] = /^DOORS=(\S+) npm start$/m.exec(page) ?? [];
    expect(doors.split(',')).toEqual([
      'predecessor',
      ...(SETTINGS.doors.fallback?.split(',') ?? []),
    ]);
  });
});

describe('the indexes of the documentation', () => {
  it.each(['docs/decisions', 'docs/use/doors'])(
    '%s/README.md leads to every page beside it',
    (folder) => {
      expect(notNamed(`${folder}/README.md`, folder)).toEqual([]);
    },
  );

  it('docs/README.md leads to every page, except the decisions', () => {
    expect(readdirSync(`${ROOT}docs/run`).length).toBeGreaterThan(10);
    const folders = ['docs', 'docs/use', 'docs/use/doors', 'docs/run', 'docs/internals'];
    for (const folder of folders) expect(notNamed('docs/README.md', folder)).toEqual([]);
  });
});

/** The pages of a folder to which the index does not lead. */
function notNamed(index: string, folder: string): string[] {
  const text = read(index);
  const pages = readdirSync(ROOT + folder).filter(
    (name) => name.endsWith('.md') && !index.endsWith(`${folder}/${name}`),
  );
  expect(pages.length).toBeGreaterThan(0);
  const from = folder.slice(dirname(index).length + 1);
  return pages.filter((name) => !text.includes(`](${join(from, name)}`));
}

function fences(language: string, text = PAGES): string[] {
  return fencesIn(language, text);
}

function isScript(snippet: string): boolean {
  return snippet.startsWith('#!');
}
