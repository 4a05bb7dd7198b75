/** What the pages for operators, docs/run, say about commands, settings, messages and figures is true. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { USAGE } from '../../src/cli/run.ts';
import { SETTINGS } from '../../src/config/config.ts';
import { CHECKS } from '../../src/doctor/troubles.ts';

const ROOT = new URL('../../', import.meta.url).pathname;
const read = (path: string) => readFileSync(ROOT + path, 'utf8');
/** Pages that are made from the code, or compared with the code by tests of their own. */
const GENERATED = ['settings.md', 'metrics.md'];
const PAGES = readdirSync(`${ROOT}docs/run`)
  .filter((name) => name.endsWith('.md') && !GENERATED.includes(name))
  .map((name) => ({ name, text: read(`docs/run/${name}`).split('<!-- made from')[0] ?? '' }));
/** This table is not searched: test/unit/troubles.test.ts checks whether the program has its messages. */
const TABLE = 'doctor/troubles.ts';
const SOURCE = ['src', 'scripts', 'worker-image/agent', 'docker-compose.yml'].map(sourceOf).join();

/** The start of a command in a fence `sh` -> the test that runs it. Other fences hold commands that no test runs. */
const RUN_BY = [
  ['npm start\n', 'test/e2e/readme.test.ts'],
  ['npm install -g ./cellhouse-', 'test/e2e/release.test.ts'],
  ['docker compose ', 'test/e2e/compose.test.ts'],
  ['export DATABASE_URL=', 'test/e2e/gateways.test.ts'],
  ['node scripts/setup-runsc.mjs\n', 'test/e2e/setupRunsc.test.ts'],
  ['cellhouse service ', 'test/e2e/service.test.ts'],
  ['npx cellhouse token ', 'test/e2e/apiDoc.test.ts'],
  ['promtool check config ', 'test/int/monitoring.test.ts'],
] as const;

/** Variables that other programs read. */
const FOREIGN = ['NODE_EXTRA_CA_CERTS', 'NODE_OPTIONS', 'ANN_TOKEN'];

describe('docs/run', () => {
  it.each(PAGES)('$name shows no command in a fence `sh` that no test runs', ({ text }) => {
    for (const [, command = ''] of text.matchAll(/^```sh\n([\s\S]*?)^```$/gm)) {
      const runner = RUN_BY.find(([start]) => command.startsWith(start))?.[1];
      expect(runner, `what runs ${command}`).toBeDefined();
      expect(existsSync(`${ROOT}${runner}`)).toBe(true);
    }
  });

  it.each(PAGES)('$name names only settings, codes and reasons that exist', ({ text }) => {
    const names = [...text.matchAll(/`([A-Z]+_[A-Z_]+)(?:=[^`]*)?`/g)].map(([, name = '']) => name);
    const unknown = names.filter((name) => !isInSource(name) && !FOREIGN.includes(name));
    expect(unknown).toEqual([]);
  });

  it('configure.md names only settings that exist', () => {
    const rows = page('configure.md').matchAll(/^\| [^|`]+ \| ((?:`[A-Z_]+`(?:, )?)+) \|/gm);
    const names = [...rows].flatMap(([, cell = '']) =>
      [...cell.matchAll(/[A-Z_]+/g)].join().split(','),
    );
    const declared = Object.values(SETTINGS).map(({ name }) => name);
    expect(names.length).toBeGreaterThan(10);
    expect(names.filter((name) => !declared.includes(name))).toEqual([]);
  });

  it('commands.md has every command, and no other', () => {
    const listed = [
      ...USAGE.matchAll(/(?<=^ {2}|^ {2}[a-z]+ [a-z]+, )(--?\w+|[a-z]+(?: (?!NAME)[a-z]+)?)\b/gm),
    ].map(([, command = '']) => command);
    const rows = [...page('commands.md').matchAll(/^\| (`.+?`) \| /gm)].map(
      ([, cell = '']) => cell,
    );
    const documented = rows.flatMap(commandsIn);
    expect(listed.length).toBeGreaterThan(15);
    expect([...documented].sort()).toEqual([...new Set(listed)].sort());
  });

  it('isolation.md names only checks of doctor in the brackets of its checklist', () => {
    const [, list = ''] =
      /^## Checklist for production\n([\s\S]*?)^## /m.exec(page('isolation.md')) ?? [];
    // Brackets after `]` are those of a link.
    const brackets = [...list.matchAll(/(?<!\])\(([^)]*)\)/g)].map(([, text = '']) => text);
    const named = [...brackets.join().matchAll(/`([a-z][a-z-]*…?)`/g)].map(([, name = '']) => name);
    expect(named.length).toBeGreaterThanOrEqual(13);
    const isCheck = (name: string) =>
      CHECKS.some((check) =>
        name.endsWith('…') ? check.startsWith(name.slice(0, -1)) : check === name,
      );
    expect(named.filter((name) => !isCheck(name))).toEqual([]);
  });

  it('alerts.md quotes the lines of the log as they are', () => {
    const text = page('alerts.md').replace(/\s+/g, ' ');
    const lines = [...text.matchAll(/\blines? ((?:`[^`]+`(?: and )?)+)/g)].flatMap(
      ([, quoted = '']) => [...quoted.matchAll(/`([^`]+)`/g)].map(([, line = '']) => line),
    );
    expect(lines.length).toBeGreaterThanOrEqual(7);
    expect(lines.filter((line) => !SOURCE.includes(line))).toEqual([]);
  });

  it('monitoring.md has the reasons of /readyz', () => {
    const reasons = [...page('monitoring.md').matchAll(/ \| `([A-Z][^`|]+\.)` \| /g)];
    const sentences = reasons.flatMap(([, reason = '']) => reason.split(/(?<=\.) /));
    expect(sentences.length).toBeGreaterThan(4);
    expect(sentences.filter((sentence) => !SOURCE.includes(sentence))).toEqual([]);
  });

  it('alerts.md has each reason of a degraded pool, as the alert and as GraphQL name it', () => {
    const [, values = ''] =
      /^enum PoolDegradationReason \{\n([^}]+)^\}/m.exec(read('schema.graphql')) ?? [];
    const reasons = [...values.matchAll(/^ {2}([A-Z_]+)$/gm)].map(([, name = '']) => name);
    expect(reasons.length).toBeGreaterThan(3);
    const rows = [...page('alerts.md').matchAll(/^\| `([a-z-]+)` \| `([A-Z_]+)` \| /gm)];
    expect(rows.map(([, , inGraphql]) => inGraphql).sort()).toEqual(reasons.sort());
    for (const [, inAlert = '', inGraphql] of rows) {
      expect(inAlert.toUpperCase().replaceAll('-', '_')).toBe(inGraphql);
      expect(SOURCE).toContain(`'${inAlert}'`);
    }
  });

  it('has the same figure for the memory of an idle worker as the README and the report of the bench', () => {
    const report = read('bench/RESULTS.md');
    const [, mib = ''] = /^density: PSS of each, .+: worker +MiB +([\d.]+) /m.exec(report) ?? [];
    expect(page('sizing.md')).toContain(`| memory of workers: sessions x ${mib} MiB |`);
    expect(page('install.md')).toContain(`${mib} MiB for each of two idle workers`);
    expect(page('isolation.md')).toContain(`| memory of an idle worker | [${mib} MiB](sizing.md`);
    expect(read('README.md')).toMatch(
      new RegExp(`\\| memory of an idle worker with [^|]* \\| ${mib} MiB`),
    );
  });

  it('sizing.md has the figures of the report, each beside the command that measures it', () => {
    const rows = page('sizing.md').matchAll(/^\| .+ \| (\d.+) \| `npm run bench -- (.+)` \|$/gm);
    const report = read('bench/RESULTS.md').split('\n');
    const found = [...rows].map(([, figures = '', bench = '']) => ({
      figures: [...figures.matchAll(/\d[\d.]*/g)].map(([figure]) => figure),
      lines: report.filter((line) => line.startsWith(`${bench}: `)).join('\n'),
    }));
    expect(found.length).toBeGreaterThan(8);
    for (const { figures, lines } of found)
      for (const figure of figures)
        expect(lines).toMatch(new RegExp(`(?<![\\d.])${figure}(?![\\d.])`));
  });
});

function page(name: string): string {
  return PAGES.find((one) => one.name === name)?.text ?? '';
}

/** "`token create`, `list`" -> token create, token list */
function commandsIn(cell: string): string[] {
  const names = [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name);
  const [first = ''] = names;
  const group = first.split(' ')[0] ?? '';
  return names.map((name) => (name === first || name.startsWith('-') ? name : `${group} ${name}`));
}

function isInSource(name: string): boolean {
  return new RegExp(`\\b${name}\\b`).test(SOURCE);
}

/** The text of a file, or of all files below a folder. */
function sourceOf(path: string): string {
  if (!existsSync(ROOT + path)) throw new Error(`There is no ${path}.`);
  if (path.includes('.')) return read(path);
  const names = readdirSync(ROOT + path, { recursive: true, encoding: 'utf8' });
  return names
    .filter((name) => /\.(ts|mjs|py)$/.test(name) && name !== TABLE)
    .map((name) => read(`${path}/${name}`))
    .join('\n');
}
