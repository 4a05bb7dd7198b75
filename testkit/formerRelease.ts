/**
 * Other versions of this program, each built by its own set-up. Above all the release before this one, as an operator who updates has
 * it: `test/fixtures/former-release.txt` names its commit.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

const PROJECT = new URL('../', import.meta.url).pathname;

/** What gateways of a release are started from. */
export interface BuiltRelease {
  readonly cli: string;
  readonly workerImage: string;
}

export interface FormerRelease extends BuiltRelease {
  /** Removes what was built, but for the worker image. */
  remove(): void;
}

/** @throws Error with what its set-up said if it cannot be built */
export function buildFormerRelease(): Promise<FormerRelease> {
  const file = join(PROJECT, 'test/fixtures/former-release.txt');
  return buildCommit(readFileSync(file, 'utf8').trim());
}

/** The same of any commit. @throws Error with what its set-up said if it cannot be built */
export async function buildCommit(commit: string): Promise<FormerRelease> {
  const folder = mkdtempSync(join(tmpdir(), 'cellhouse-former-'));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  try {
    checkOut(commit, '.', folder);
    usePackages(folder);
    return { ...(await buildFolder(folder)), remove };
  } catch (cause: unknown) {
    remove();
    throw new Error(`The commit ${commit} could not be built.`, { cause });
  }
}

/** What is in a folder, built where it is. @throws Error with what its set-up said */
export async function buildFolder(folder: string): Promise<BuiltRelease> {
  return { cli: join(folder, 'dist/cli.js'), workerImage: await setUp(folder) };
}

/** The files of a commit, or those below `path` of it. @throws Error if git does not have it, as in a shallow clone */
export function checkOut(commit: string, path: string, folder: string): void {
  const archive = execFileSync('git', ['archive', commit, path], {
    cwd: PROJECT,
    maxBuffer: 256 * 1024 * 1024,
  });
  execFileSync('tar', ['-x', '-C', folder], { input: archive });
}

/** Ours, if they are the very same; else its set-up installs its own, which must never be into ours. */
function usePackages(folder: string): void {
  const lock = (of: string) => readFileSync(join(of, 'package-lock.json'), 'utf8');
  if (lock(folder) !== lock(PROJECT)) return;
  symlinkSync(join(PROJECT, 'node_modules'), join(folder, 'node_modules'));
}

/** Resolves with the name of its worker image, the last thing that a set-up prints. */
async function setUp(folder: string): Promise<string> {
  const { WORKER_IMAGE: _, ...env } = process.env;
  const child = spawn(process.execPath, ['scripts/setup.mjs'], {
    cwd: folder,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [said, errors] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit'),
  ]);
  const image = /Worker image: (\S+)\s*$/.exec(said)?.[1];
  if (image === undefined) throw new Error(`Its set-up said:\n${said}${errors}`);
  return image;
}
