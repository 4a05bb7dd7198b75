/**
 * The arrows between the folders of src/ are held by Biome (biome.json, `overrides`). A checker that looks at nothing
 * passes everything, so each forbidden import is planted in a copy of the layout, and must be found.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';

const FORBIDDEN: Readonly<Record<string, readonly string[]>> = {
  events: [
    '../kernel/messages.ts',
    '../pool/pool.ts',
    '../postgres/embeddedPostgres.ts',
    '../schema/index.ts',
    '../server/createServer.ts',
    '../main.ts',
    '../cli.ts',
    'dockerode',
    'ws',
    '@pothos/core',
  ],
  'events/store': ['../../pool/pool.ts', '../../kernel/messages.ts'],
  kernel: [
    '../events/states.ts',
    '../pool/pool.ts',
    '../postgres/embeddedPostgres.ts',
    '../schema/index.ts',
    '../server/createServer.ts',
    '../main.ts',
    'postgres',
    'drizzle-orm',
    'drizzle-orm/pg-core',
    'dockerode',
    '@pothos/core',
  ],
  pool: [
    '../postgres/embeddedPostgres.ts',
    '../schema/index.ts',
    '../server/createServer.ts',
    '../main.ts',
    'postgres',
    'drizzle-orm',
    'ws',
    '@pothos/core',
  ],
  postgres: [
    '../events/states.ts',
    '../kernel/messages.ts',
    '../pool/pool.ts',
    '../schema/index.ts',
    '../server/createServer.ts',
    'postgres',
    'dockerode',
  ],
  schema: [
    '../events/openDatabase.ts',
    '../events/queries/queries.ts',
    '../kernel/messages.ts',
    '../postgres/embeddedPostgres.ts',
    '../server/createServer.ts',
    '../main.ts',
    'postgres',
    'drizzle-orm',
    'dockerode',
    'ws',
  ],
  server: ['../main.ts', 'postgres', 'drizzle-orm', 'dockerode', '@pothos/core'],
  '.': ['postgres', 'drizzle-orm', 'dockerode', 'ws', '@pothos/core'],
};

const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  events: ['../ids.ts', './states.ts', 'postgres', 'drizzle-orm/pg-core'],
  'events/store': ['../../ids.ts', '../states.ts', 'postgres'],
  kernel: ['../output.ts', './messages.ts', 'ws'],
  pool: ['../events/states.ts', '../kernel/messages.ts', 'dockerode'],
  postgres: ['./layout.ts', 'pino'],
  schema: ['../pool/service.ts', '../events/states.ts', '../events/eventStore.ts', '@pothos/core'],
  server: ['../schema/index.ts', '../pool/pool.ts', '../events/database.ts', 'ws'],
  '.': ['./postgres/embeddedPostgres.ts', './events/openDatabase.ts', './server/createServer.ts'],
};

/** The ways a module can be named. */
const FORMS: Readonly<Record<string, (from: string) => string>> = {
  import: (from) => `import * as planted from '${from}';\nexport const used = planted;\n`,
  type: (from) => `import type { Planted } from '${from}';\nexport type Used = Planted;\n`,
  export: (from) => `export * from '${from}';\n`,
  dynamic: (from) => `export const used = await import('${from}');\n`,
};

const root = process.cwd();
const tree = mkdtempSync(join(tmpdir(), 'cellhouse-arrows-'));
afterAll(() => rmSync(tree, { recursive: true }));

interface Plant {
  readonly file: string;
  readonly what: string;
}

function plantAll(cases: Readonly<Record<string, readonly string[]>>, prefix: string): Plant[] {
  const plants: Plant[] = [];
  for (const [folder, imports] of Object.entries(cases)) {
    for (const from of imports) {
      for (const [form, write] of Object.entries(FORMS)) {
        const file = join('src', folder, `${prefix}${plants.length}.ts`);
        mkdirSync(dirname(join(tree, file)), { recursive: true });
        writeFileSync(join(tree, file), write(from));
        plants.push({ file, what: `${folder} -> ${from} (${form})` });
      }
    }
  }
  return plants;
}

/** The files in which Biome, with the project's own configuration, finds an import against the arrows. */
function lint(folder: string): { checked: number; found: Set<string> } {
  const args = ['lint', '--only=style/noRestrictedImports', '--max-diagnostics=none', 'src'];
  const { stdout, stderr } = spawnSync(
    process.execPath,
    [join(root, 'node_modules/@biomejs/biome/bin/biome'), ...args],
    { cwd: folder, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 },
  );
  const checked = Number(/Checked (\d+) files/.exec(stdout + stderr)?.[1] ?? 0);
  const found = [...(stdout + stderr).matchAll(/^(src\/\S+?):\d+:\d+ lint\/style\/noRestricted/gm)];
  return { checked, found: new Set(found.map((match) => match[1] ?? '')) };
}

describe('the arrows between the folders of src/', () => {
  it('let no planted import against them pass, and hinder none along them', () => {
    cpSync(join(root, 'biome.json'), join(tree, 'biome.json'));
    const forbidden = plantAll(FORBIDDEN, 'forbidden');
    const allowed = plantAll(ALLOWED, 'allowed');
    const { checked, found } = lint(tree);
    expect(checked).toBe(forbidden.length + allowed.length);
    expect(forbidden.filter(({ file }) => !found.has(file))).toEqual([]);
    expect(allowed.filter(({ file }) => found.has(file))).toEqual([]);
  });

  it('hold in the project itself', () => {
    const { checked, found } = lint(root);
    expect(checked).toBeGreaterThan(50);
    expect([...found]).toEqual([]);
  });
});
