/**
 * Whether `migrations/` is what the tables say: drizzle-kit, asked for a new migration in a copy, must find nothing to
 * do, and the migrations must follow from each other.
 */
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { projectRoot } from './setup/projectRoot.mjs';
import { runCommand } from './setup/runCommand.mjs';
import { runScript, SetupError } from './setup/setupError.mjs';

await runScript(async () => {
  const folder = mkdtempSync(join(tmpdir(), 'cellhouse-migrations-'));
  try {
    const copy = join(folder, 'migrations');
    cpSync(join(projectRoot, 'migrations'), copy, { recursive: true });
    const before = namesIn(copy);
    // As in drizzle.config.ts; drizzle-kit takes paths only as relative ones.
    const where = ['--dialect', 'postgresql', '--out', relative(projectRoot, copy)];
    await drizzleKit(['generate', '--schema', 'src/events/tables.ts', ...where]);
    await drizzleKit(['check', ...where]);
    const drift = namesIn(copy).filter((name) => !before.includes(name));
    if (before.length === 0) throw new SetupError('migrations/ is empty.');
    if (drift.length > 0) {
      throw new SetupError(
        `The tables in src/events/tables.ts are not what migrations/ makes. Run: npx drizzle-kit generate`,
      );
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

function namesIn(folder) {
  return readdirSync(folder).filter((name) => name.endsWith('.sql'));
}

function drizzleKit(args) {
  return runCommand(process.execPath, ['node_modules/drizzle-kit/bin.cjs', ...args], {
    cwd: projectRoot,
  });
}
