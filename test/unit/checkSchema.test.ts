/** What `scripts/check-schema.mjs` says about a changed schema. */
import { describe, expect, it } from 'vitest';
import { unnamedBreaks } from '../../scripts/check-schema.mjs';

const BEFORE = `
  enum Colour { RED BLUE }
  input Asked { name: String }
  type Thing { name: String! size: Int colour: Colour }
  type Old { id: ID }
  type Query { thing(id: ID): Thing things(first: Int): [Thing!]! }`;
const AFTER = `
  enum Colour { RED GREEN }
  input Asked { name: String id: ID! }
  type Thing { name: String size: Int more: Int }
  type Query { thing(id: ID): Thing things: [Thing!]! }`;

const breaksOf = (news: string, after = AFTER) =>
  unnamedBreaks({
    before: BEFORE,
    after,
    changelog: `# Changelog\n\n## [Unreleased]\n\n${news}\n\n## [1.2.0]\n\n- \`Thing.colour\`\n`,
    release: 'v1.2.0',
  });

describe('the check of the schema', () => {
  it('reports each break that the changelog does not name', () => {
    expect(breaksOf('').map((line) => line.split(': ')[0])).toEqual(
      expect.arrayContaining([
        'Old',
        'Colour.BLUE',
        'Asked.id',
        'Thing.name',
        'Thing.colour',
        'Query.things',
      ]),
    );
    expect(breaksOf('')).toHaveLength(6);
  });

  it('accepts a break that is named above the section of the former release', () => {
    const news =
      '- `Old`, `Colour.BLUE` and `Asked.id: ID!`\n- `Thing.name`, `Query.things(first:)`';
    expect(breaksOf(news)).toEqual([expect.stringMatching(/^Thing\.colour: /)]);
    expect(breaksOf(`${news}\n- \`Thing.colour\` is gone`)).toEqual([]);
  });

  it('reports nothing that clients do not notice', () => {
    const more = `${BEFORE} extend type Thing { more: Int } extend enum Colour { GREEN } extend input Asked { size: Int }`;
    expect(breaksOf('', more)).toEqual([]);
  });
});
