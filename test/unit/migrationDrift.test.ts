/** Whether the check of the migrations sees a drift: planted in a copy of the project, since the project has none. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';

/** Each case has drizzle-kit bundle the tables twice; a second when idle. */
const TIMEOUT_MS = 30_000;

const copy = mkdtempSync(join(tmpdir(), 'cellhouse-drift-'));
afterAll(() => rmSync(copy, { recursive: true }));
for (const name of ['scripts', 'src', 'migrations', 'package.json']) {
  cpSync(name, join(copy, name), { recursive: true });
}
symlinkSync(join(process.cwd(), 'node_modules'), join(copy, 'node_modules'));

const tables = join(copy, 'src/events/tables.ts');
const asItIs = readFileSync(tables, 'utf8');

it.each([
  ['the tables as they are', asItIs, 0],
  ['one more table', `${asItIs}\nexport const more = pgTable('more', { x: integer('x') });\n`, 1],
  ['a renamed table', asItIs.replace("pgTable(\n  'events'", "pgTable(\n  'facts'"), 1],
])(
  '%s',
  (_, source, status) => {
    writeFileSync(tables, source);
    const script = join(copy, 'scripts/check-migrations.mjs');
    const run = spawnSync(process.execPath, [script], { cwd: copy, encoding: 'utf8' });
    expect(run.status, run.stderr).toBe(status);
  },
  TIMEOUT_MS,
);
