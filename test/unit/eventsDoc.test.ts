import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { STREAM_KINDS } from '../../src/domain/entities.ts';
import { EVENT_TYPES } from '../../src/domain/events.ts';

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const doc = read('docs/internals/events.md');
const types = STREAM_KINDS.map((entity) =>
  read(`src/domain/${entity}.ts`).replaceAll(/\/\*[\s\S]*?\*\//g, ''),
).join('\n');
const events = [...types.matchAll(/Event<\s*'(\w+)',([\s\S]*?)>(?=\n\s*\||;)/g)].map(
  ([, name = '', data = '']) => ({
    name,
    fields: [...data.matchAll(/(\w+)\??: /g)].map(([, field = '']) => field),
  }),
);

describe('docs/internals/events.md', () => {
  it('has a row for each type of event, and no other row', () => {
    const rows = [...doc.matchAll(/^\| `((?:[A-Z][a-z]+){2,})`/gm)];
    expect(events.map(({ name }) => name).sort()).toEqual([...EVENT_TYPES].sort());
    expect(rows.map(([, name]) => name).sort()).toEqual(events.map(({ name }) => name).sort());
  });

  it.each(events)('names every field of $name', ({ name, fields }) => {
    const row = doc.split('\n').find((line) => line.startsWith(`| \`${name}\``)) ?? '';
    for (const field of fields) expect(row).toContain(`\`${field}\``);
  });

  it('explains every reason and status', () => {
    const unions = types.matchAll(/export type \w+(?:Reason|Status) =([^;]*);/g);
    const words = [...unions].flatMap(([, union = '']) =>
      [...union.matchAll(/'([\w-]+)'/g)].map(([, word = '']) => word),
    );
    expect(words.length).toBeGreaterThan(20);
    for (const word of words) expect(doc).toContain(`\`${word}\``);
  });
});
