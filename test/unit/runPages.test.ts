/** What the pages for operators, docs/run, say about settings and messages is true. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
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

/** Variables that other programs read. */
const FOREIGN = ['NODE_EXTRA_CA_CERTS', 'NODE_OPTIONS', 'ANN_TOKEN'];

describe('docs/run', () => {
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
});

function page(name: string): string {
  return PAGES.find((one) => one.name === name)?.text ?? '';
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
