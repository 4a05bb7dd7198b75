import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const ROOT = new URL('../../', import.meta.url).pathname;
const COLUMNS = 5;
const [modes = ''] = readFileSync(`${ROOT}docs/internals/failure-modes.md`, 'utf8').split(
  '\n## All at once',
);
const rows = modes
  .split('\n')
  .filter((line) => line.startsWith('| ') && !/^\| (---|what fails)/.test(line))
  .map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
const tests = rows.flatMap((cells) =>
  (cells.at(-1) ?? '').split('<br>').map((text) => {
    const [, file = '', name = ''] = /^`(test\/[\w./]+\.test\.ts)`: (.+)$/.exec(text) ?? [];
    return { text, file, name };
  }),
);

describe('docs/internals/failure-modes.md', () => {
  it('has a row for each failure, with what users and operators see and how it heals', () => {
    expect(rows.length).toBeGreaterThan(20);
    for (const cells of rows) {
      expect(cells).toHaveLength(COLUMNS);
      const [what, users, , heals] = cells;
      expect([what, users, heals]).not.toContain('');
    }
  });

  it.each(tests)('names a test that exists: $text', ({ text, file, name }) => {
    expect({ text, isTest: file !== '' }).toEqual({ text, isTest: true });
    expect(existsSync(ROOT + file)).toBe(true);
    expect(readFileSync(ROOT + file, 'utf8')).toContain(`'${name}'`);
  });
});
