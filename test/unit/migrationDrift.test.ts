/** Tests that the check of the migrations finds drift. Each drift is planted in a copy of the project. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';

/** drizzle-kit bundles the tables, which takes a second on an idle machine. */
const TIMEOUT_MS = 30_000;

const copy = mkdtempSync(join(tmpdir(), 'cellhouse-drift-'));
afterAll(() => rmSync(copy, { recursive: true }));
for (const name of ['scripts', 'src', 'migrations', 'drizzle.config.ts', 'package.json']) {
  cpSync(name, join(copy, name), { recursive: true });
}
symlinkSync(join(process.cwd(), 'node_modules'), join(copy, 'node_modules'));

const TABLES = 'src/events/tables.ts';
const VIEW = 'migrations/sql/audit_workers.sql';
const JOURNAL = 'migrations/meta/_journal.json';
const SCHEMA = 'migrations/schema.json';
const plant = (find: string, by: string) => (text: string) => text.replace(find, by);
const TABLES_DIFFER = 'does not match the tables';
const NO_VERSION = 'needs a new version';

it.each([
  [
    'one more table',
    TABLES,
    (text: string) => `${text}export const more = pgTable('more', { x: integer('x') });\n`,
    TABLES_DIFFER,
  ],
  ['a renamed table', TABLES, plant("pgTable(\n  'events'", "pgTable(\n  'facts'"), TABLES_DIFFER],
  [
    'a changed view under the same version',
    VIEW,
    plant('w.name AS name', "'x' AS name"),
    NO_VERSION,
  ],
  ['a file that is never applied', SCHEMA, plant('    "audit.sql",\n', ''), 'never applied'],
  ['a migration without its SQL', JOURNAL, plant('0000_baseline', '0099_baseline'), 'not complete'],
  [
    'another compatibleFrom',
    SCHEMA,
    plant('"compatibleFrom": ', '"compatibleFrom": 9'),
    NO_VERSION,
  ],
])(
  'the check fails on %s',
  (_, path, change, message) => {
    const file = join(copy, path);
    const asItIs = readFileSync(file, 'utf8');
    const changed = change(asItIs);
    expect(changed).not.toBe(asItIs);
    writeFileSync(file, changed);
    const { status, stderr } = check();
    expect([status, stderr]).toEqual([1, expect.stringContaining(message)]);
    writeFileSync(file, asItIs);
  },
  TIMEOUT_MS,
);

it(
  'the check passes once the change has its own version',
  () => {
    const view = join(copy, VIEW);
    const version = () => JSON.parse(readFileSync(join(copy, SCHEMA), 'utf8')).version as number;
    const before = version();
    writeFileSync(view, plant('w.name AS name', "'x' AS name")(readFileSync(view, 'utf8')));
    expect(run('scripts/migrations.mjs').status).toBe(0);
    expect(version()).toBe(before + 1);
    expect(check().status).toBe(0);
  },
  TIMEOUT_MS,
);

function check() {
  return run('scripts/check-migrations.mjs');
}

function run(script: string) {
  return spawnSync(process.execPath, [join(copy, script)], { cwd: copy, encoding: 'utf8' });
}
