/** `cellhouse service`: runs a gateway as a service of systemd, upgrades it, and goes back if the new release fails. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseEnv } from 'node:util';
import { pollUntil } from '../async/pollUntil.ts';
import { loadConfig, SETTINGS } from '../config/config.ts';
import { explain } from '../domain/errors.ts';
import { quoted } from '../domain/text.ts';
import { layoutOf } from '../postgres/cluster.ts';
import { findClusterProcesses } from '../postgres/server.ts';
import { liveGateway } from '../process/gatewayLock.ts';
import { parseOptions } from './commandLine.ts';
import { listeningUrl } from './gatewayClient.ts';
import {
  currentRelease,
  exitCodeOf,
  keepReleases,
  putRelease,
  removeRelease,
  runProgram,
  switchTo,
  withVersion,
} from './releases.ts';
import {
  BACKUP,
  BACKUP_TIMER,
  FIRST_SETTINGS,
  IDENTITY,
  PLACES,
  SERVICE,
  unitFiles,
} from './systemdUnits.ts';

/** The folder of this program: a clone, an installed package, or a release. */
const OWN_FOLDER = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
/** Where the command `cellhouse` is put, unless npm has put one there. */
const COMMAND = '/usr/local/bin/cellhouse';
const COMMAND_TARGET = join(PLACES.current, 'dist/cli.js');

/** @param words the arguments after `service` */
export async function service(words: readonly string[]): Promise<void> {
  const [command, ...more] = words;
  switch (command) {
    case 'install':
      return await install(more);
    case 'upgrade':
      return await upgrade(more);
    case 'remove':
      return await remove(more);
    case 'run':
      return await runInside(more);
    case 'units':
      return writeUnits(more);
    default:
      throw new Error(`service needs install, upgrade, remove or run. See cellhouse --help.`);
  }
}

export interface ServiceArguments {
  /** The folder or npm package with the release. Absolute. Null if none was named. */
  readonly release: string | null;
  /** How long a server may take until /readyz answers 200. */
  readonly readyWithinMs: number;
  readonly isBackedUp: boolean;
}

/** Enough for a first start, which makes a database. Migrating a large database may need a longer `--ready-within`. */
const DEFAULT_READY_WITHIN_S = '120';

/** Parses the words after `install` and `upgrade`. @throws Error that says what is wrong */
export function serviceArguments(words: readonly string[]): ServiceArguments {
  const options = {
    'ready-within': { type: 'string', default: DEFAULT_READY_WITHIN_S },
    'no-backup': { type: 'boolean', default: false },
  } as const;
  const { values, positionals } = parseOptions(words, { options, allowPositionals: true });
  const [release, ...others] = positionals;
  if (others.length > 0)
    throw new Error('Name one release: a folder, or the npm package of a release.');
  const seconds = values['ready-within'];
  if (!/^[1-9]\d{0,4}$/.test(seconds))
    throw new Error(
      `--ready-within must be a whole number of seconds from 1 to 99999, not ${quoted(seconds)}.`,
    );
  return {
    release: release === undefined ? null : resolve(release),
    readyWithinMs: Number(seconds) * 1_000,
    isBackedUp: !values['no-backup'],
  };
}

async function install(words: readonly string[]): Promise<void> {
  const { release, readyWithinMs, isBackedUp } = serviceArguments(words);
  if (!isBackedUp)
    throw new Error(
      `--no-backup is for service upgrade. To end the nightly backups later: systemctl disable --now ${BACKUP_TIMER}`,
    );
  requireMachine();
  if (currentRelease() !== null)
    throw new Error(
      'The service is installed already. To replace its release: cellhouse service upgrade FOLDER|PACKAGE.',
    );
  const config = loadConfig(settings());
  await refuseBesideServer(config.dataDir);
  makeUserAndFolders();
  const name = await putRelease(release ?? OWN_FOLDER, setUpEnv(), new Date());
  // The set-up may have installed the engine, and with it the group.
  await runProgram(['usermod', '--append', '--groups', 'docker', PLACES.user]);
  await switchTo(name);
  linkCommand();
  await runProgram(['systemctl', 'enable', SERVICE]);
  // `cellhouse backup` refuses a PostgreSQL of the operator's own, so the timer would fail each night.
  const hasTimer = config.databaseUrl === null;
  if (hasTimer) await runProgram(['systemctl', 'enable', '--now', BACKUP_TIMER]);
  const url = listeningUrl(config);
  if (!(await restartAndWait(url, readyWithinMs)))
    throw new Error(`The service is installed, but is not ready. ${SEE_LOG}`);
  console.log(`The service serves ${url}. It starts at each boot.
Settings: ${PLACES.settings}
Token:    ${PLACES.data}/auth-token
Log:      journalctl -u cellhouse -o cat
Backups:  ${hasTimer ? `each night, in ${PLACES.backups}` : NO_BACKUPS}`);
}

const NO_BACKUPS =
  'none, because DATABASE_URL names a PostgreSQL of your own. Make them with pg_dump: docs/run/backup.md';

const SEE_LOG = 'See journalctl -u cellhouse -o cat -n 50.';

/** @throws Error that says what is missing, before anything is changed */
function requireMachine(): void {
  if (process.getuid?.() !== 0)
    throw new Error('Only root can manage the service. Repeat this with sudo.');
  if (!existsSync('/run/systemd/system'))
    throw new Error('This machine was not started by systemd.');
  const node = realpathSync(process.execPath);
  if (/^\/(home|root|run\/user|tmp|var\/tmp)\//.test(node))
    throw new Error(
      `The service cannot see ${node}, because it has no access to that folder. Install Node for all users, for example with apt-get install nodejs npm.`,
    );
}

/**
 * The service's user cannot see the processes of other users. It would take their PostgreSQL for dead, and start a
 * second one on the same files.
 */
async function refuseBesideServer(dataDir: string): Promise<void> {
  if (!existsSync(dataDir)) return;
  const { data } = layoutOf(dataDir);
  const { postmaster, survivors } = existsSync(data)
    ? findClusterProcesses(data)
    : { postmaster: null, survivors: [] };
  const live = await liveGateway(dataDir);
  const pid = live?.pid ?? postmaster ?? survivors[0];
  if (pid === undefined) return;
  throw new Error(
    `A gateway or its PostgreSQL (process ${pid}) runs on ${dataDir}. End it with DATA_DIR=${dataDir} cellhouse stop, then repeat this.`,
  );
}

function makeUserAndFolders(): void {
  const { user, data, settings: file, backups } = PLACES;
  if (idOf('-u') === null)
    execFileSync('useradd', [
      '--system',
      '--user-group',
      '--no-create-home',
      `--home-dir=${data}`,
      '--shell=/usr/sbin/nologin',
      user,
    ]);
  mkdirSync(dirname(file), { recursive: true, mode: 0o755 });
  if (!existsSync(file)) writeFileSync(file, FIRST_SETTINGS, { mode: 0o600 });
  chmodSync(file, 0o600);
  mkdirSync(backups, { recursive: true, mode: 0o700 });
  chownSync(backups, idOf('-u') ?? 0, idOf('-g') ?? 0);
}

/** The user's own id, or its group's. Null if there is no such user. */
function idOf(which: '-u' | '-g'): number | null {
  try {
    return Number(
      execFileSync('id', [which, PLACES.user], { stdio: ['ignore', 'pipe', 'ignore'] }),
    );
  } catch {
    return null;
  }
}

function linkCommand(): void {
  if (lstatSync(COMMAND, { throwIfNoEntry: false }) === undefined)
    symlinkSync(COMMAND_TARGET, COMMAND);
}

/** The settings of the service, and nothing of the shell's. */
function settings(): Record<string, string | undefined> {
  const file = existsSync(PLACES.settings) ? readFileSync(PLACES.settings, 'utf8') : '';
  return { DATA_DIR: PLACES.data, SOCKET_DIR: PLACES.sockets, ...parseEnv(file) };
}

/** The set-up also needs the shell's PATH and proxies, but none of its settings. */
function setUpEnv(): Record<string, string | undefined> {
  const names = new Set(Object.values(SETTINGS).map(({ name }) => name));
  const shell = Object.entries(process.env).filter(([name]) => !names.has(name));
  return { ...Object.fromEntries(shell), ...settings() };
}

const READY_POLL_MS = 250;
/** After this many restarts, the server is not expected to become ready, and the wait ends early. */
const HOPELESS_RESTARTS = 3;

/** Starts the service anew, with what `current` leads to. Resolves with whether /readyz answers 200 in time. */
async function restartAndWait(url: string, limitMs: number): Promise<boolean> {
  await exitCodeOf(['systemctl', 'reset-failed', SERVICE]);
  // If the restart has failed, the former server may still answer, so readiness would mean nothing.
  if ((await exitCodeOf(['systemctl', 'restart', SERVICE])) !== 0) return false;
  const isOver = await pollUntil({ everyMs: READY_POLL_MS, limitMs }, async () => {
    if (await isReady(`${url}/readyz`)) return 'ready';
    return restarts() >= HOPELESS_RESTARTS ? 'hopeless' : null;
  });
  return isOver === 'ready';
}

async function isReady(url: string): Promise<boolean> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(5_000) }).catch(() => null);
  await answer?.body?.cancel();
  return answer?.status === 200;
}

function restarts(): number {
  return Number(execFileSync('systemctl', ['show', '--property=NRestarts', '--value', SERVICE]));
}

/** The former release serves again. */
const EXIT_WENT_BACK = 1;
/** Neither release serves. */
const EXIT_NONE_SERVES = 2;

async function upgrade(words: readonly string[]): Promise<void> {
  const { release, readyWithinMs, isBackedUp } = serviceArguments(words);
  requireMachine();
  const former = currentRelease();
  if (former === null) throw new Error('There is no service yet: cellhouse service install.');
  // This program may be older than the release that serves, so it is no default.
  if (release === null)
    throw new Error('Name the new release. Example: cellhouse service upgrade cellhouse-0.2.0.tgz');
  if (existsSync(release) && realpathSync(release) === realpathSync(PLACES.current))
    throw new Error(`${release} is the release that serves already. Name the new one.`);
  const config = loadConfig(settings());
  const serves = async (which: string) =>
    await servesFrom(which, listeningUrl(config), readyWithinMs);
  const name = await putRelease(release, setUpEnv(), new Date());
  if (isBackedUp) await backUp(name);
  if (await serves(name)) {
    keepReleases([name, former]);
    console.log(
      `The service now serves ${withVersion(name)}. The former release, ${withVersion(former)}, is kept.`,
    );
    return;
  }
  console.error(`Going back to the former release, ${former}.`);
  await exitCodeOf(['journalctl', '--unit=cellhouse', '--output=cat', '--lines=20', '--no-pager']);
  const isBack = await serves(former);
  process.exitCode = isBack ? EXIT_WENT_BACK : EXIT_NONE_SERVES;
  console.error(
    isBack
      ? `cellhouse: ${former} serves again. Sessions go on. The new release is in ${PLACES.root}/releases/${name}.`
      : NONE_SERVES,
  );
}

/** Resolves with whether the release serves now. Whatever goes wrong is printed, so that the caller can go back. */
async function servesFrom(name: string, url: string, limitMs: number): Promise<boolean> {
  try {
    await switchTo(name);
    if (await restartAndWait(url, limitMs)) return true;
    console.error(
      `${name} is not ready after ${limitMs / 1_000} s, does not start, or ends again and again.`,
    );
  } catch (error: unknown) {
    console.error(`cellhouse: ${explain(error)}`);
  }
  return false;
}

const NONE_SERVES = `cellhouse: The former release is not ready either. ${SEE_LOG} If it says that the database is newer than the release, repeat the upgrade with a longer --ready-within, or restore the backup: docs/run/upgrade.md.`;

async function backUp(name: string): Promise<void> {
  if ((await exitCodeOf(['systemctl', 'start', BACKUP])) === 0) return;
  removeRelease(name);
  throw new Error(
    `There is no backup, so nothing was changed. See journalctl -u ${BACKUP} -n 20. With a PostgreSQL of your own, back it up yourself, and repeat this with --no-backup. (${name} was removed.)`,
  );
}

/** What has users' data or secrets stays. */
async function remove(words: readonly string[]): Promise<void> {
  parseOptions(words, { options: {} });
  requireMachine();
  if (currentRelease() === null) throw new Error('There is no service.');
  // It fails for units that an interrupted removal has removed already.
  await exitCodeOf(['systemctl', 'disable', '--now', BACKUP_TIMER, SERVICE]);
  await runInside(['down']);
  if (process.exitCode)
    throw new Error('Sessions could not be ended, so the program was not removed.');
  for (const name of [SERVICE, BACKUP, BACKUP_TIMER])
    rmSync(join(PLACES.units, name), { force: true });
  await runProgram(['systemctl', 'daemon-reload']);
  if (isOurs(COMMAND)) rmSync(COMMAND);
  rmSync(PLACES.sockets, { recursive: true, force: true });
  rmSync(PLACES.root, { recursive: true });
  console.log(
    `The service is removed. These are left: ${PLACES.data}, ${PLACES.backups}, ${dirname(PLACES.settings)}, the user ${PLACES.user}, and Docker with its images.`,
  );
}

function isOurs(link: string): boolean {
  return (
    lstatSync(link, { throwIfNoEntry: false })?.isSymbolicLink() === true &&
    readlinkSync(link) === COMMAND_TARGET
  );
}

/** Runs a command as the service's user, with the service's settings. systemd reads them as it does for the service. */
async function runInside(words: readonly string[]): Promise<void> {
  requireMachine();
  if (words.length === 0)
    throw new Error('Name a command. Example: cellhouse service run token list');
  const isTerminal = process.stdin.isTTY && process.stdout.isTTY;
  process.exitCode = await exitCodeOf([
    'systemd-run',
    '--quiet',
    '--collect',
    '--wait',
    // A $ in an argument stays a $.
    '--expand-environment=no',
    isTerminal ? '--pty' : '--pipe',
    ...IDENTITY.map((property) => `--property=${property}`),
    process.execPath,
    COMMAND_TARGET,
    ...words,
  ]);
}

/** For the installation of a release: writes its units into a new folder. */
function writeUnits([folder = 'systemd']: readonly string[]): void {
  mkdirSync(folder, { recursive: true });
  for (const [name, text] of Object.entries(unitFiles(process.execPath)))
    writeFileSync(join(folder, name), text);
}
