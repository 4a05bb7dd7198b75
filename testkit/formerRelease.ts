/**
 * Builds other versions of this program, each with its own set-up. The most important one is the version that an
 * operator has before an update: its commit is in `test/fixtures/former-release.txt`.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

/** The root of the checkout. The path of this file does not lead to it in benches: they run a copy in node_modules. */
const PROJECT = process.cwd();

/** The parts of a release that a gateway is started from. */
export interface BuiltRelease {
  readonly cli: string;
  readonly workerImage: string;
}

export interface FormerRelease extends BuiltRelease {
  /** Removes everything that was built, except the worker image. */
  remove(): void;
}

/** Builds the commit in former-release.txt. @throws Error with the output of the set-up, if it cannot be built */
export function buildFormerRelease(): Promise<FormerRelease> {
  const file = join(PROJECT, 'test/fixtures/former-release.txt');
  return buildCommit(readFileSync(file, 'utf8').trim());
}

/** Builds any commit. @throws Error with the output of the set-up, if it cannot be built */
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

/** Builds the program in a folder, in place. @throws Error with the output of its set-up */
export async function buildFolder(folder: string): Promise<BuiltRelease> {
  return { cli: join(folder, 'dist/cli.js'), workerImage: await setUp(folder) };
}

/**
 * Extracts a commit's files, or those at `path`, into `folder`.
 * @throws Error if git lacks the commit, as in a shallow clone
 */
export function checkOut(commit: string, path: string, folder: string): void {
  const archive = execFileSync('git', ['archive', commit, path], {
    cwd: PROJECT,
    maxBuffer: 256 * 1024 * 1024,
  });
  execFileSync('tar', ['-x', '-C', folder], { input: archive });
}

/**
 * Links our npm packages into the folder if both versions have the same lock file. Otherwise the set-up of the other
 * version installs its own packages in the folder. Our packages never change.
 */
function usePackages(folder: string): void {
  const lock = (of: string) => readFileSync(join(of, 'package-lock.json'), 'utf8');
  if (lock(folder) !== lock(PROJECT)) return;
  symlinkSync(join(PROJECT, 'node_modules'), join(folder, 'node_modules'));
}

/** Runs the set-up of the version in this folder. Resolves with the worker image's name, which it prints last. */
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
  if (image === undefined) throw new Error(`The set-up named no image:\n${said}${errors}`);
  return image;
}
