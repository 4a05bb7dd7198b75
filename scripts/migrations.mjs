/** `npm run migrations -- --name what_it_does`: makes a migration if the tables changed, and gives what changed in `migrations/` a version. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { projectRoot } from './setup/projectRoot.mjs';
import { raiseSchemaVersion } from './setup/schemaFile.mjs';
import { runScript, SetupError } from './setup/setupError.mjs';

await runScript(async () => {
  const args = ['node_modules/drizzle-kit/bin.cjs', 'generate', ...process.argv.slice(2)];
  // It asks whether something was renamed.
  const { status } = spawnSync(process.execPath, args, { cwd: projectRoot, stdio: 'inherit' });
  if (status !== 0) throw new SetupError('drizzle-kit made no migration.');
  console.log(raiseSchemaVersion(join(projectRoot, 'migrations')));
});
