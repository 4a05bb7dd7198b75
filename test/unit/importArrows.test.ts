/**
 * The arrows between the rooms of src/ are data (scripts/arrows.mjs), and one rule checks every import against them. A
 * checker that looks at nothing passes everything, so these tests plant each forbidden import, and the rule must find
 * it.
 */
import { describe, expect, it } from 'vitest';
import { PACKAGES, ROOMS } from '../../scripts/arrows.mjs';
import { wrongArrows } from '../../scripts/check-arrows.mjs';

const FOLDERS = Object.keys(ROOMS).filter((room) => !room.endsWith('.ts'));

function planted(room: string, line: string, folder = ''): string[] {
  const path = room.endsWith('.ts') ? room : `${room}/${folder}planted.ts`;
  return wrongArrows({ [path]: `${line}\n` });
}

function specifier(from: string, to: string, depth = 0): string {
  const up = from.endsWith('.ts') ? './' : '../'.repeat(depth + 1);
  return to.endsWith('.ts') ? `${up}${to}` : `${up}${to}/thing.ts`;
}

describe.each(Object.entries(ROOMS))('%s', (room, { may, types = [] }) => {
  const others = Object.keys(ROOMS).filter((each) => each !== room);

  it.each(others.filter((each) => !may.includes(each)))('may not import from %s', (other) => {
    const from = specifier(room, other);
    expect(planted(room, `import { thing } from '${from}';`)).toHaveLength(1);
    expect(planted(room, `export { thing } from '${from}';`)).toHaveLength(1);
    expect(planted(room, `export * from '${from}';`)).toHaveLength(1);
    expect(planted(room, `import '${from}';`)).toHaveLength(1);
    expect(planted(room, `const thing = await import('${from}');`)).toHaveLength(1);
    const typesOnly = planted(room, `import type { Thing } from '${from}';`);
    expect(typesOnly).toHaveLength(types.includes(other) ? 0 : 1);
    expect(planted(room, `import { type Thing, thing } from '${from}';`)).toHaveLength(1);
  });

  it.each([...may])('may import from %s', (other) => {
    expect(planted(room, `import { thing } from '${specifier(room, other)}';`)).toEqual([]);
  });
});

describe.each(FOLDERS)('%s', (room) => {
  it('keeps its arrows in sub-folders, too', () => {
    const { may } = ROOMS[room] ?? { may: [] };
    const forbidden = FOLDERS.find((each) => each !== room && !may.includes(each));
    const line = `import { thing } from '${specifier(room, forbidden ?? '', 1)}';`;
    expect(planted(room, line, 'deep/')).toHaveLength(1);
    expect(planted(room, `import { other } from './other.ts';`, 'deep/')).toEqual([]);
  });
});

describe.each(Object.entries(PACKAGES))('package %s', (name, places) => {
  const rooms = Object.keys(ROOMS);

  it.each(rooms.filter((room) => !places.some((place) => place.split('/')[0] === room)))(
    'is not for %s',
    (room) => {
      expect(planted(room, `import thing from '${name}';`)).toHaveLength(1);
      expect(planted(room, `import type { Thing } from '${name}/below';`)).toHaveLength(1);
    },
  );

  it.each([...places])('is for %s', (place) => {
    expect(planted(place, `import thing from '${name}';`)).toEqual([]);
  });
});

describe('the rule', () => {
  it('names file, import and what is allowed', () => {
    const wrong = planted('worker', `import { thing } from '../pool/pool.ts';`);
    expect(wrong).toEqual([
      'src/worker/planted.ts imports ../pool/pool.ts: worker may import from domain, async, events, kernel.',
    ]);
  });

  it('refuses a package of one room in another room of the same folder', () => {
    expect(wrongArrows({ 'runtime/runtime.ts': `import Docker from 'dockerode';` })).toHaveLength(
      1,
    );
  });

  it('tells packages with similar names apart', () => {
    expect(planted('worker', `import thing from 'postgres-date';`)).toEqual([]);
  });

  it('fails on a file that it cannot read', () => {
    expect(() => planted('worker', 'import {')).toThrow('src/worker/planted.ts cannot be parsed');
  });
});
