import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { probeNames, probeThemes, TIERS } from '../support/probes.ts';

const ROOT = new URL('../../', import.meta.url).pathname;
const SECURITY = readFileSync(join(ROOT, 'docs/internals/security.md'), 'utf8');

/** The text in italics, which names tests. */
function namedTests(text: string): string[] {
  const prose = text.replaceAll(/`[^`]*`|\*\*/g, '').replaceAll(/\s+/g, ' ');
  return [...prose.matchAll(/\*([^*]+)\*/g)].flatMap(([, name]) => name ?? []);
}

/** The rows of defences: all rows of tables with a column "tests". */
function defences(): string[][] {
  const tables = SECURITY.split('\n\n').filter((part) => /^\|.*\| tests +\|/.test(part));
  return tables.flatMap((table) =>
    table
      .split('\n')
      .slice(2)
      .filter((row) => row.startsWith('|'))
      .map((row) => row.split(/(?<!\\)\|/).map((cell) => cell.trim())),
  );
}

/** The source of all tests, in which every title stands in quotes. */
function sourceOfTests(): string {
  return ['unit', 'int', 'e2e', 'e2e/security', 'e2e/security/probes']
    .flatMap((folder) =>
      readdirSync(join(ROOT, 'test', folder))
        .filter((name) => /\.(test\.ts|py)$/.test(name) && name !== 'securityDoc.test.ts')
        .map((name) => readFileSync(join(ROOT, 'test', folder, name), 'utf8')),
    )
    .join('\n');
}

describe('docs/internals/security.md', () => {
  it('names only tests that exist', () => {
    const source = sourceOfTests();
    const names = namedTests(SECURITY);
    expect(names.length).toBeGreaterThan(80);
    const missing = names.filter(
      (name) => !["'", '"', '`'].some((quote) => source.includes(`${quote}${name}${quote}`)),
    );
    expect(missing).toEqual([]);
  });

  it('names a test beside every defence', () => {
    const rows = defences();
    expect(rows.length).toBeGreaterThan(30);
    const untested = rows.filter((cells) => {
      const tests = cells.at(-2) ?? '';
      return namedTests(tests).length === 0 && !/`test\/|"System calls"/.test(tests);
    });
    expect(untested).toEqual([]);
  });

  it('names every probe', () => {
    const probes = TIERS.flatMap((tier) =>
      probeThemes().flatMap((theme) => probeNames(theme, tier)),
    );
    const named = new Set(namedTests(SECURITY));
    expect(probes.filter((name) => !named.has(name))).toEqual([]);
  });
});
