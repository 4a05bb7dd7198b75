/**
 * Checks that testing.md lists everything that `npm test` leaves out, and that all names in test/extent.ts exist.
 */
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ALONE, COVERED, EXTENT, FIRST, LONG } from '../extent.ts';

const ROOT = new URL('../../', import.meta.url).pathname;
const TESTING = readFileSync(`${ROOT}docs/internals/testing.md`, 'utf8');

describe('test/extent.ts', () => {
  it.each([...new Set([...ALONE, ...FIRST, ...LONG, ...Object.keys(COVERED)])])(
    '%s exists',
    (name) => {
      expect(existsSync(`${ROOT}test/e2e/${name}`)).toBe(true);
    },
  );

  it.each(Object.entries(COVERED))('%s covers files that exist, and has a row', (name, covers) => {
    for (const path of covers) expect(existsSync(ROOT + path), path).toBe(true);
    expect(TESTING).toContain(`\`test/e2e/${name}\``);
  });

  it.each(Object.entries(COVERED))('%s covers the pages whose commands it runs', (name, covers) => {
    const text = readFileSync(`${ROOT}test/e2e/${name}`, 'utf8');
    for (const [page] of text.matchAll(/(?:docs\/[\w/-]+|README)\.md(?=')/g))
      expect(covers).toContain(page);
  });

  it.each(LONG)('%s has a row in docs/internals/testing.md', (name) => {
    expect(TESTING).toContain(`| \`test/e2e/${name}\``);
  });

  it.each(Object.keys(EXTENT))('%s has a row in docs/internals/testing.md', (name) => {
    expect(TESTING).toContain(`| \`${name}\`: `);
  });
});
