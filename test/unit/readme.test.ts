import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { SETTINGS } from '../../src/config/config.ts';

const ROOT = new URL('../../', import.meta.url).pathname;
const read = (path: string) => readFileSync(ROOT + path, 'utf8');
const README = read('README.md');
/** Pages with commands that people copy. */
const PAGES = [README, read('docs/api.md'), read('docs/operations.md')].join('\n');
const EXAMPLES = `${ROOT}examples/`;
const MAX_LINES = 165;
const MAX_EXAMPLE_LINES = 21;

/** The start of a printed command -> the test that runs it. */
const RUN_BY = [
  ['npm start\n', 'test/e2e/readme.test.ts'],
  ['npm stop\n', 'test/e2e/readme.test.ts'],
  ['npm test\n', '.ci/run'],
  ['export CELLHOUSE_TOKEN=', 'test/e2e/examples.test.ts'],
  ['sh examples/', 'test/e2e/examples.test.ts'],
  ['node examples/', 'test/e2e/examples.test.ts'],
  ['python3 examples/notebook.py', 'test/e2e/notebook.test.ts'],
  ['python3 examples/', 'test/e2e/examples.test.ts'],
  ['printf ', 'test/e2e/apiDoc.test.ts'],
  ['docker compose ', 'test/e2e/compose.test.ts'],
  ['export DATABASE_URL=', 'test/e2e/gateways.test.ts'],
  ['node scripts/setup-runsc.mjs\n', 'test/e2e/setupRunsc.test.ts'],
] as const;

describe('the README', () => {
  it('is short, and so is each program in it', () => {
    expect(README.split('\n').length - 1).toBeLessThanOrEqual(MAX_LINES);
    const programs = [...fences('js', README), ...fences('python', README)];
    programs.push(...fences('sh', README).filter(isScript));
    expect(programs).toHaveLength(3);
    for (const program of programs)
      expect(program.split('\n').length - 1).toBeLessThanOrEqual(MAX_EXAMPLE_LINES);
  });

  it('has the same figures as the pages that it names, each beside the command that measures it', () => {
    const rows = [...README.matchAll(/^\| .+ \| (\d.+) \| `npm run (\w+) -- (.+)` \|$/gm)];
    expect(rows.length).toBeGreaterThan(5);
    for (const [, figures = '', script, args = ''] of rows) {
      const found = script === 'bench' ? resultsOf(args) : faultsOf(args);
      for (const [figure] of figures.matchAll(/\d[\d.]*/g))
        expect(found).toMatch(new RegExp(`(?<![\\d.])${figure}(?![\\d.])`));
    }
  });
});

describe('the pages with commands', () => {
  it.each(readdirSync(EXAMPLES))('say how to run examples/%s', (name) => {
    const lines = fences('sh').flatMap((snippet) => snippet.split('\n'));
    expect(lines.some((line) => line.split(' ').includes(`examples/${name}`))).toBe(true);
  });

  it('print the programs of examples/ unchanged', () => {
    const examples = readdirSync(EXAMPLES).map((name) => readFileSync(EXAMPLES + name, 'utf8'));
    const programs = [...fences('js'), ...fences('python'), ...fences('sh').filter(isScript)];
    expect(programs.length).toBeGreaterThanOrEqual(5);
    for (const program of programs) expect(examples).toContain(program);
  });

  it('print no command that no test runs', () => {
    const commands = fences('sh').filter((snippet) => !isScript(snippet));
    expect(commands.length).toBeGreaterThan(10);
    for (const command of commands) {
      const runner = RUN_BY.find(([start]) => command.startsWith(start))?.[1];
      expect(runner, `what runs ${command}`).toBeDefined();
      expect(existsSync(`${ROOT}${runner}`)).toBe(true);
    }
  });
});

describe('CONTRIBUTING.md', () => {
  it('has recipes of six files at most, for an entity eight', () => {
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

describe('docs/operations.md', () => {
  it('has a proxy that takes uploads of any size that the gateway takes', () => {
    const [recipe = ''] = fences('nginx', read('docs/operations.md'));
    expect(recipe).toContain('client_max_body_size 0;');
    expect(recipe).toContain('proxy_request_buffering off;');
  });

  it('names every variable that only docker-compose.yml has', () => {
    const names = [...read('docker-compose.yml').matchAll(/\$\{([A-Z_]+)/g)].map(
      ([, name]) => name,
    );
    expect(names.length).toBeGreaterThan(3);
    const page = read('docs/operations.md');
    expect(names.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
  });
});

describe('the pages', () => {
  it('name one figure for the memory of an idle worker: that of the bench', () => {
    const report = read('docs/performance.md');
    const [, mib = ''] = /^density: PSS of each, .+: worker +MiB +([\d.]+) /m.exec(report) ?? [];
    expect(report).toContain(
      `| memory of an idle worker, numpy, pandas and matplotlib imported | ${mib} MiB `,
    );
    expect(report).toContain(`| memory of workers: sessions x ${mib} MiB |`);
    expect(README).toContain(
      `| memory of an idle worker with numpy, pandas and matplotlib imported | ${mib} MiB |`,
    );
    expect(read('docs/operations.md')).toContain(`${mib} MiB for each of the two idle\nworkers`);
  });

  it("open the predecessor's door beside those that are open by default", () => {
    const [, doors = ''] = /^DOORS=(\S+) npm start$/m.exec(read('docs/doors/predecessor.md')) ?? [];
    expect(doors.split(',')).toEqual([
      'predecessor',
      ...(SETTINGS.doors.fallback?.split(',') ?? []),
    ]);
  });
});

describe('the indexes of the documentation', () => {
  it.each(['docs', 'docs/decisions'])('%s/README.md leads to every page beside it', (folder) => {
    const index = read(`${folder}/README.md`);
    const pages = readdirSync(ROOT + folder).filter(
      (name) => name.endsWith('.md') && name !== 'README.md',
    );
    expect(pages.length).toBeGreaterThan(10);
    expect(pages.filter((name) => !index.includes(`](${name})`))).toEqual([]);
  });
});

/** The result of a bench according to docs/performance.md. */
function resultsOf(bench: string): string {
  const lines = read('docs/performance.md').split('\n');
  return lines.filter((line) => line.startsWith(`${bench}: `)).join('\n');
}

/** The result of a chaos run according to docs/failure-modes.md. */
function faultsOf(args: string): string {
  const page = read('docs/failure-modes.md');
  expect(page).toContain(`\`npm run chaos -- ${args}\``);
  return /^`\d+ faults, .+`/m.exec(page)?.[0] ?? '';
}

/** The contents of all fences in a language. */
function fences(language: string, text = PAGES): string[] {
  const found = text.matchAll(new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\`$`, 'gm'));
  return [...found].map(([, content = '']) => content);
}

function isScript(snippet: string): boolean {
  return snippet.startsWith('#!');
}
