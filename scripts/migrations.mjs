/**
 * `npm run migrations -- --name what_it_does`: makes a migration if the tables have changed, and raises the schema
 * version if `migrations/` has changed.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { projectRoot } from './setup/projectRoot.mjs';
import { raiseSchemaVersion } from './setup/schemaFile.mjs';
import { runScript, SetupError } from './setup/setupError.mjs';

await runScript(async () => {
  const args = ['node_modules/drizzle-kit/bin.cjs', 'generate', ...process.argv.slice(2)];
  // drizzle-kit may ask whether something was renamed, so it needs the terminal.
  const { status } = spawnSync(process.execPath, args, { cwd: projectRoot, stdio: 'inherit' });
  if (status !== 0) throw new SetupError('drizzle-kit made no migration.');
  console.log(raiseSchemaVersion(join(projectRoot, 'migrations')));
});
