/**
 * Whether `migrations/` is what the tables say: drizzle-kit, asked for a new migration in a copy, must find nothing to
 * do, the migrations must follow from each other, and what changed must have a version of its own.
 */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { projectRoot } from './setup/projectRoot.mjs';
import { runCommand } from './setup/runCommand.mjs';
import { readSchemaFile, schemaDigest } from './setup/schemaFile.mjs';
import { runScript, SetupError } from './setup/setupError.mjs';

await runScript(async () => {
  const folder = mkdtempSync(join(tmpdir(), 'cellhouse-migrations-'));
  try {
    const copy = join(folder, 'migrations');
    cpSync(join(projectRoot, 'migrations'), copy, { recursive: true });
    // As in drizzle.config.ts; drizzle-kit takes paths only as relative ones.
    const where = ['--dialect', 'postgresql', '--out', relative(projectRoot, copy)];
    const said = await drizzleKit(['generate', '--schema', 'src/events/tables.ts', ...where]);
    // Asked whether something was renamed, it ends with 0 where nobody can answer: only its word counts.
    if (!said.includes('No schema changes')) {
      throw new SetupError(
        `The tables in src/events/tables.ts are not what migrations/ makes. Run: npm run migrations\n${said}`,
      );
    }
    await drizzleKit(['check', ...where]);
    const { version, sha256 } = readSchemaFile(copy);
    if (schemaDigest(copy) !== sha256) {
      throw new SetupError(
        `What migrations/ makes is not schema version ${version} any more, and running gateways tell releases apart by that. Run: npm run migrations`,
      );
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

function drizzleKit(args) {
  return runCommand(process.execPath, ['node_modules/drizzle-kit/bin.cjs', ...args], {
    cwd: projectRoot,
    both: true,
  });
}
