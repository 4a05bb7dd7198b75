/**
 * The arrows between the rooms are data (scripts/arrows.mjs), and one rule checks every import against them. A
 * checker that looks at nothing passes everything, so these tests plant each forbidden import, and the rule must find
 * it.
 */
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { PACKAGES, ROOMS } from '../../scripts/arrows.mjs';
import { circles, needlesslyOpen, readRooms, wrongArrows } from '../../scripts/check-arrows.mjs';

const NAMES = Object.keys(ROOMS);
const OUTSIDE = ['testkit', 'chaos', 'bench'];
const isFile = (room: string) => room.endsWith('.ts');
const folderOf = (room: string) => (OUTSIDE.includes(room) ? room : `src/${room}`);

/** The errors for an import in a file of the room, or in the file that is the room. */
function planted(room: string, line: string, folder = ''): string[] {
  return wrongArrows({ [plantedFile(room, folder)]: `${line}\n` });
}

function plantedFile(room: string, folder: string): string {
  return isFile(room) ? folderOf(room) : `${folderOf(room)}/${folder}planted.ts`;
}

/** The path that a planted file of one room must import to reach a file that the other room opens. */
function specifier(from: string, to: string, folder = ''): string {
  const [entry = 'thing.ts'] = ROOMS[to]?.open ?? [];
  const target = isFile(to) ? folderOf(to) : `${folderOf(to)}/${entry}`;
  const way = relative(dirname(plantedFile(from, folder)), target);
  return way.startsWith('.') ? way : `./${way}`;
}

const value = (from: string) => `import { thing } from '${from}';`;
const type = (from: string) => `import type { Thing } from '${from}';`;

/** Every arrow from one room to another, and whether the table allows it. */
const ARROWS = Object.entries(ROOMS).flatMap(([room, { may, types = [] }]) =>
  NAMES.filter((other) => other !== room).map((other) => {
    const mayValues = may.includes(other);
    return { room, other, mayValues, mayTypes: mayValues || types.includes(other) };
  }),
);
type Arrow = (typeof ARROWS)[number];

const named = (is: (arrow: Arrow) => boolean) =>
  ARROWS.filter(is).map(({ room, other }) => `${room} -> ${other}`);

describe('the table', () => {
  it('has a row for each folder and file of src, for testkit, chaos and bench, and for nothing else', () => {
    expect([...NAMES].sort()).toEqual([...readdirSync('src'), ...OUTSIDE].sort());
  });

  it('opens no file that no other room imports', () => {
    expect(needlesslyOpen(readRooms())).toEqual([]);
  });

  it('allows some arrows, forbids more, and knows every room that it names', () => {
    const allowed = Object.values(ROOMS).flatMap(({ may, types = [] }) => [...may, ...types]);
    expect(allowed.filter((room) => !NAMES.includes(room))).toEqual([]);
    expect(named(({ mayTypes }) => mayTypes).length).toBeGreaterThan(50);
    expect(named(({ mayTypes }) => !mayTypes).length).toBeGreaterThan(200);
  });
});

describe('the rule', () => {
  it('finds an import between any two rooms that the table does not allow, and no other', () => {
    const isFound = ({ room, other }: Arrow) =>
      planted(room, value(specifier(room, other))).length > 0;
    expect(named(isFound)).toEqual(named(({ mayValues }) => !mayValues));
  });

  it('allows types alone where the table does', () => {
    const isFound = ({ room, other }: Arrow) =>
      planted(room, type(specifier(room, other))).length > 0;
    expect(named(isFound)).toEqual(named(({ mayTypes }) => !mayTypes));
  });

  it.each([
    `import { thing } from '../config/thing.ts';`,
    `import thing from '../config/thing.ts';`,
    `import * as thing from '../config/thing.ts';`,
    `import '../config/thing.ts';`,
    `import { type Thing, thing } from '../config/thing.ts';`,
    `export { thing } from '../config/thing.ts';`,
    `export * from '../config/thing.ts';`,
    `const thing = await import('../config/thing.ts');`,
  ])('finds %s where types alone are allowed', (line) => {
    expect(planted('events', line)).toHaveLength(1);
  });

  it('finds an import of a file that a room does not open, and of no other', () => {
    expect(planted('pool', value('../worker/lanes/lane.ts'))).toHaveLength(1);
    expect(planted('bench', type('../src/service/output/contextFeed.ts'))).toHaveLength(1);
    expect(planted('worker', value('./lanes/lane.ts'))).toEqual([]);
    expect(planted('service', value('../events/queries/any.ts'))).toEqual([]);
    expect(planted('service', value('../domain/any.ts'))).toEqual([]);
  });

  it('holds in the sub-folders of every room', () => {
    const isFound = ({ room, other }: Arrow) =>
      planted(room, value(specifier(room, other, 'deep/')), 'deep/').length > 0;
    expect(named((arrow) => !isFile(arrow.room) && isFound(arrow))).toEqual(
      named(({ room, mayValues }) => !isFile(room) && !mayValues),
    );
    expect(planted('domain', value('./other.ts'), 'deep/')).toEqual([]);
  });

  it('finds each reserved package, also below its name, everywhere except in its places', () => {
    const rooms = NAMES.filter((room) => !OUTSIDE.includes(room));
    const everywhere = [...rooms, ...Object.values(PACKAGES).flat()];
    for (const [name, places] of Object.entries(PACKAGES)) {
      const others = everywhere.filter(
        (place) => !places.some((own) => place === own || place.startsWith(`${own}/`)),
      );
      for (const line of [value(name), type(`${name}/below`)]) {
        const found = everywhere.filter((place) => planted(place, line).length > 0);
        expect([name, found]).toEqual([name, others]);
      }
    }
    expect(planted('worker', value('postgres-date'))).toEqual([]);
  });

  it('names file, import and what is allowed', () => {
    expect(planted('worker', value('../pool/pool.ts'))).toEqual([
      'src/worker/planted.ts imports ../pool/pool.ts: worker may import from domain, async, events, kernel.',
    ]);
    expect(planted('gateway.ts', value('./schema/types.ts'))).toEqual([
      'src/gateway.ts imports ./schema/types.ts: schema does not open types.ts to other rooms (scripts/arrows.mjs).',
    ]);
  });

  it('fails on a file that it cannot read', () => {
    expect(() => planted('worker', 'import {')).toThrow('worker/planted.ts cannot be parsed');
  });
});

describe('a circle', () => {
  const sources = {
    'a/one.ts': `${value('./two.ts')} ${value('../b/four.ts')}`,
    'a/two.ts': type('../b/three.ts'),
    'b/three.ts': value('../a/one.ts'),
    'b/four.ts': value('vitest'),
  };

  it('of files that import each other is found, even if one imports only a type', () => {
    expect(circles(sources)).toEqual(['These import each other: a/one.ts, a/two.ts, b/three.ts.']);
  });

  it('is not found if one import is missing', () => {
    expect(circles({ ...sources, 'b/three.ts': value('./four.ts') })).toEqual([]);
  });
});

describe('the check of npm run check', () => {
  const copy = mkdtempSync(join(tmpdir(), 'cellhouse-arrows-'));
  afterAll(() => rmSync(copy, { recursive: true }));
  cpSync('scripts', join(copy, 'scripts'), { recursive: true });
  symlinkSync(join(process.cwd(), 'node_modules'), join(copy, 'node_modules'));
  mkdirSync(join(copy, 'src/kitchen'), { recursive: true });
  const check = () => {
    const script = join(copy, 'scripts/check-arrows.mjs');
    const { status, stdout, stderr } = spawnSync(process.execPath, [script], { encoding: 'utf8' });
    return [status, stdout, stderr];
  };

  it('fails if there is nothing to check', () => {
    expect(check()).toEqual([1, '', 'There is nothing in src/ to check.\n']);
  });

  it('fails on a file in no room', () => {
    writeFileSync(join(copy, 'src/kitchen/sink.ts'), '');
    expect(check()).toEqual([1, '', 'src/kitchen/sink.ts is in no room of scripts/arrows.mjs.\n']);
  });
});
