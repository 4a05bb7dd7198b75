/**
 * Checks four things: each migration is complete; a changed schema has a new version; `migrations/` matches the tables,
 * so that drizzle-kit finds nothing to do in a copy; and the migrations follow from each other. drizzle-kit comes last,
 * because it takes seconds.
 */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
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
    requireComplete(copy);
    requireOwnVersion(copy);
    // The same options as in drizzle.config.ts. drizzle-kit accepts only relative paths.
    const where = ['--dialect', 'postgresql', '--out', relative(projectRoot, copy)];
    const said = await drizzleKit(['generate', '--schema', 'src/events/tables.ts', ...where]);
    // The exit code is not enough. It is 0 even if drizzle-kit asks whether something was renamed and nobody can
    // answer.
    if (!said.includes('No schema changes')) {
      throw new SetupError(
        `migrations/ does not match the tables in src/events/tables.ts. Run: npm run migrations\n${said}`,
      );
    }
    await drizzleKit(['check', ...where]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

/**
 * A migration consists of its SQL, its snapshot, and its entry in the journal. A merge may keep only some of them, and
 * drizzle-kit looks only at the snapshots.
 * @throws SetupError that names what does not belong together
 */
function requireComplete(folder) {
  const numbersIn = (path, end) =>
    readdirSync(path).flatMap((name) => (name.endsWith(end) ? name.slice(0, 4) : []));
  const journal = JSON.parse(readFileSync(join(folder, 'meta/_journal.json'), 'utf8'));
  const found = {
    'SQL files': numbersIn(folder, '.sql'),
    snapshots: numbersIn(join(folder, 'meta'), '_snapshot.json'),
    'entries of the journal': journal.entries.map(({ tag }) => tag.slice(0, 4)),
  };
  const lists = Object.entries(found).map(([what, numbers]) => [what, numbers.sort().join(' ')]);
  if (new Set(lists.map(([, numbers]) => numbers)).size === 1) return;
  throw new SetupError(
    `The migrations are not complete: ${lists.map((list) => list.join(' ')).join('; ')}. Take migrations/ of the main branch, then run: npm run migrations`,
  );
}

/** @throws SetupError if `migrations/` has changed without a new schema version */
function requireOwnVersion(folder) {
  const { version, sha256 } = readSchemaFile(folder);
  if (schemaDigest(folder) === sha256) return;
  throw new SetupError(
    `migrations/ has changed since schema version ${version} and needs a new version, by which running gateways tell releases apart. Run: npm run migrations`,
  );
}

function drizzleKit(args) {
  return runCommand(process.execPath, ['node_modules/drizzle-kit/bin.cjs', ...args], {
    cwd: projectRoot,
    both: true,
  });
}
