import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const doc = read('docs/api.md');

describe('docs/api.md', () => {
  it('has a row for each status', () => {
    const statuses =
      /enum ExecutionStatus \{([\s\S]*?)\n\}/.exec(read('schema.graphql'))?.[1] ?? '';
    const names = [...statuses.matchAll(/^ {2}([A-Z_]+)$/gm)].map(([, name]) => name);
    expect(names).toHaveLength(8);
    for (const name of names) expect(doc).toMatch(new RegExp(`^\\| \`${name}\` `, 'm'));
  });

  it.each(['Query', 'Mutation', 'Subscription'])('shows how each field of %s is used', (type) => {
    const fields = new RegExp(`^type ${type} \\{([\\s\\S]*?)^\\}`, 'm').exec(
      read('schema.graphql'),
    );
    const names = [...(fields?.[1] ?? '').matchAll(/^ {2}(\w+)[(:]/gm)].map(([, name]) => name);
    expect(names.length).toBeGreaterThanOrEqual(3);
    const shown = [...doc.matchAll(/^```(?:graphql|sh)\n([\s\S]*?)^```$/gm)]
      .map(([, text]) => text)
      .join('\n');
    for (const name of names) expect(shown).toMatch(new RegExp(`[{\\s:]${name}\\b`));
  });
});

describe('docs/errors.md', () => {
  it('has a row for each code of an error', () => {
    const union = /export type ErrorCode =([^;]*);/.exec(read('src/domain/errors.ts'))?.[1] ?? '';
    const codes = [...union.matchAll(/'(\w+)'/g)].map(([, code]) => code);
    expect(codes.length).toBeGreaterThan(10);
    const rows = [
      ...read('docs/errors.md').matchAll(/^\| `([A-Z_]+)` +\|.*\| (?:yes|no) +\|$/gm),
    ].map(([, code]) => code);
    expect(rows.toSorted()).toEqual(codes.toSorted());
  });
});
