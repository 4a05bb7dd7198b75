import { buildSchema, parse, validate } from 'graphql';
import { describe, expect, it } from 'vitest';
import { ERROR_CODES } from '../../src/domain/errors.ts';
import { fences, GUIDE, inlineCode, readPage, USER_PAGES } from '../support/userPages.ts';

const doc = GUIDE.map(readPage).join('\n');

describe('the pages for users', () => {
  it('show only operations that the schema has', () => {
    const schema = buildSchema(readPage('schema.graphql'));
    const pages = USER_PAGES.map(readPage).join('\n');
    const inline = inlineCode(pages).filter((code) =>
      /^(?:query|mutation|subscription)\b.*\{/.test(code),
    );
    const operations = [...fences('graphql', pages), ...inline];
    expect(operations.length).toBeGreaterThan(30);
    for (const operation of operations)
      expect(validate(schema, parse(operation)), operation).toEqual([]);
  });

  it('have a row for each code of an error', () => {
    const rows = [
      ...readPage('docs/use/errors.md').matchAll(/^\| `([A-Z_]+)` +\|.*\| (?:yes|no) +\|$/gm),
    ].map(([, code]) => code);
    expect(rows.toSorted()).toEqual(ERROR_CODES.toSorted());
  });

  it('have a row for each status', () => {
    const statuses =
      /enum ExecutionStatus \{([\s\S]*?)\n\}/.exec(readPage('schema.graphql'))?.[1] ?? '';
    const names = [...statuses.matchAll(/^ {2}([A-Z_]+)$/gm)].map(([, name]) => name);
    expect(names).toHaveLength(8);
    for (const name of names) expect(doc).toMatch(new RegExp(`^\\| \`${name}\` `, 'm'));
  });

  it.each(['Query', 'Mutation', 'Subscription'])('show how each field of %s is used', (type) => {
    const fields = new RegExp(`^type ${type} \\{([\\s\\S]*?)^\\}`, 'm').exec(
      readPage('schema.graphql'),
    );
    const names = [...(fields?.[1] ?? '').matchAll(/^ {2}(\w+)[(:]/gm)].map(([, name]) => name);
    expect(names.length).toBeGreaterThanOrEqual(3);
    const shown = [...fences('graphql', doc), ...fences('sh', doc)].join('\n');
    for (const name of names) expect(shown).toMatch(new RegExp(`[{\\s:]${name}\\b`));
  });
});
