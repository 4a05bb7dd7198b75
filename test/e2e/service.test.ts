/**
 * `cellhouse service` in a booted Debian: docs/run/service.md, step by step, with docs/run/upgrade.md and the restore of
 * docs/run/backup.md. Each test goes on from the state that the one before has left.
 */
import { execFileSync } from 'node:child_process';
import {
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makePackage } from '../../scripts/release/package.mjs';
import { PACKAGES, PARTS } from '../../src/cli/releases.ts';
import { freePort } from '../../testkit/freePort.ts';
import { type GraphqlAnswer, postGraphql } from '../../testkit/gateway.ts';
import { createOwnEngine, type OwnEngine } from '../../testkit/ownEngine.ts';
import { until } from '../../testkit/until.ts';
import { lightWorkerImage } from '../../testkit/workerImage.ts';
import { type BootedMachine, createMachine } from '../support/bootedMachine.ts';
import { npmFolder } from '../support/standInImages.ts';
import { commandOf, fences, readPage } from '../support/userPages.ts';

const LIMIT_MS = 300_000;
const PAGE = 'docs/run/service.md';
const BACKUPS = 'var/backups/cellhouse';
const SERVER_LOG = 'var/lib/cellhouse/postgres/server.log';
const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
/** The npm package of a release, in the machine. */
const PACKAGE = `/root/cellhouse-${version}.tgz`;
/** The folder of changes to units, as an operator makes them with `systemctl edit`. */
const OVERRIDES = 'etc/systemd/system';

describe.runIf(process.getuid?.() === 0)('cellhouse service', { timeout: LIMIT_MS }, () => {
  let engine: OwnEngine;
  let machine: BootedMachine;
  let port: number;
  const registry = execFileSync('npm', ['config', 'get', 'registry'], { encoding: 'utf8' }).trim();

  beforeAll(async () => {
    engine = await createOwnEngine();
    await engine.load(lightWorkerImage());
    await engine.start();
    machine = await createMachine(dirname(engine.places.socket));
    port = await freePort();
    // A clone that has been built.
    for (const part of [...PARTS, PACKAGES])
      copy(join(process.cwd(), part), inMachine('root/clone', part));
    await makePackage(inMachine('root'));
    addNpm();
    write(
      'etc/cellhouse/cellhouse.env',
      `WORKER_IMAGE=${lightWorkerImage()}\nPORT=${port}\nSOCKET_DIR=${machine.shared}\nMIN_IDLE_WORKERS=1\nMAX_TOTAL_WORKERS=4\n`,
    );
    const [change = ''] = fences('ini', readPage(PAGE));
    expect(change).toContain('/srv/sockets');
    for (const unit of ['cellhouse.service', 'cellhouse-backup.service'])
      write(`${OVERRIDES}/${unit}.d/sockets.conf`, change.replace('/srv/sockets', machine.shared));
    await machine.boot();
  });

  afterAll(async () => {
    await machine?.destroy();
    await engine?.destroy();
  });

  it('install refuses to start beside a PostgreSQL of root, which the service could not see', async () => {
    // Without workers, because the service's user cannot use the folders of their sockets.
    const own = 'DATA_DIR=/var/lib/cellhouse; SOCKET_DIR=/run/by-hand; MIN_IDLE_WORKERS=0';
    const settings = `set -a; . /etc/cellhouse/cellhouse.env; ${own}`;
    const command = `${settings}; exec node /root/clone/dist/cli.js`;
    const unit = ['--unit=by-hand', '--property=KillMode=process', '--collect'];
    await machine.run('systemd-run', ...unit, 'sh', '-c', `${command} serve`);
    await ready();
    expect(await install()).toMatchObject({ code: 1, output: expect.stringContaining('stop') });
    await machine.run('systemctl', 'stop', 'by-hand');
    const { code, output } = await install();
    expect(output).toMatch(/PostgreSQL \(process \d+\) runs on \/var\/lib\/cellhouse/);
    expect(code).toBe(1);
    expect(existsSync(inMachine('opt/cellhouse'))).toBe(false);
    expect(await machine.run('sh', '-c', `${command} stop`)).toMatchObject({ code: 0 });
  });

  it('install takes over the data of root, and serves as a user without rights of its own', async () => {
    const { code, output } = await install();
    expect(output).toContain(`The service serves http://127.0.0.1:${port}.`);
    expect(code).toBe(0);
    expect(await processes('cellhouse')).toEqual(expect.arrayContaining(['node', 'postgres']));
    expect(statSync(inMachine('etc/cellhouse/cellhouse.env')).mode & 0o777).toBe(0o600);
    expect(statSync(inMachine('var/lib/cellhouse')).mode & 0o777).toBe(0o700);
    expect(await runCode('x = 41')).toMatchObject({ status: 'OK' });
  });

  it('a session survives a restart', async () => {
    expect((await machine.run('systemctl', 'restart', 'cellhouse')).code).toBe(0);
    await ready();
    expect(await runCode('x += 1; x')).toMatchObject({ resultText: '42', stateLost: false });
  });

  it('systemd starts a killed server again, and the session goes on', async () => {
    const before = await mainPid();
    await machine.run('systemctl', 'kill', '--kill-whom=main', '--signal=KILL', 'cellhouse');
    await until('another process', async () => !['0', before].includes(await mainPid()));
    await ready();
    expect(await runCode('x')).toMatchObject({ resultText: '42', stateLost: false });
  });

  it('run has the rights and the settings of the service', async () => {
    const check = commandOf(PAGE, 'cellhouse service run ');
    const { code, output } = await machine.run(...check.split(' '));
    expect(output).toContain(String(port));
    expect(code).toBe(0);
    const keep = ['backup', '--to', '/x', '--keep', '$USER'];
    expect((await machine.run('cellhouse', 'service', 'run', ...keep)).output).toContain('"$USER"');
    const bare = await machine.run('cellhouse', 'config', 'check');
    expect(bare.output).toContain('cellhouse service run COMMAND');
    expect(bare.code).toBe(1);
  });

  it.each([
    ['ends at once', 'process.exit(1)', []],
    [
      'is never ready',
      'setInterval(() => undefined, 1000); await new Promise(() => undefined)',
      ['--ready-within', '8'],
    ],
  ])('upgrade goes back from a release that %s', async (what, statement, options) => {
    const good = await current();
    const broken = `/root/${what.replaceAll(' ', '-')}`;
    await makeRelease(broken, statement);
    const { code, output } = await upgrade(broken, ...options);
    expect(output).toContain(`${good} serves again.`);
    expect(code).toBe(1);
    expect(await current()).toBe(good);
    expect(readdirSync(inMachine(BACKUPS)).length).toBeGreaterThan(0);
    expect(await runCode('x')).toMatchObject({ resultText: '42', stateLost: false });
  });

  it('upgrade to a release that serves keeps sessions and the former release', async () => {
    const former = await current();
    const { code, output } = await upgrade('/root/clone');
    expect(output).toMatch(/now serves release-\S+ \(version [\d.]+\)/);
    expect(code).toBe(0);
    expect(await current()).not.toBe(former);
    expect(readdirSync(inMachine('opt/cellhouse/releases')).sort()).toEqual(
      [former, await current()].sort(),
    );
    expect(await runCode('x')).toMatchObject({ resultText: '42', stateLost: false });
  });

  it('upgrade to the npm package of a release keeps sessions', async () => {
    const former = await current();
    const { code, output } = await upgrade(PACKAGE);
    expect(output).toContain(`(version ${version})`);
    expect(code).toBe(0);
    expect(await current()).not.toBe(former);
    expect(existsSync(inMachine('opt/cellhouse/releases', await current(), 'docs'))).toBe(true);
    expect(await runCode('x')).toMatchObject({ resultText: '42', stateLost: false });
  });

  it('without a backup, upgrade changes nothing, and the former release is still there', async () => {
    const before = readdirSync(inMachine('opt/cellhouse/releases'));
    const serving = await current();
    chownSync(inMachine(BACKUPS), 0, 0);
    const { code, output } = await upgrade(`/opt/cellhouse/releases/${await other()}`);
    execFileSync('chown', ['--reference', inMachine('var/lib/cellhouse'), inMachine(BACKUPS)]);
    expect(output).toContain('nothing was changed');
    expect(code).toBe(1);
    expect(await current()).toBe(serving);
    expect(readdirSync(inMachine('opt/cellhouse/releases'))).toEqual(before);
  });

  it("upgrade to the former release's folder serves that one, whatever the shell's settings are", async () => {
    const path = `/opt/cellhouse/releases/${await other()}`;
    writeFileSync(inMachine(path, 'dist/former'), '');
    const shell = ['env', 'CELLHOUSE_URL=http://127.0.0.1:9', 'PORT=none', 'cellhouse'];
    const { code } = await machine.run(...shell, 'service', 'upgrade', '--no-backup', path);
    expect(code).toBe(0);
    expect(existsSync(inMachine('opt/cellhouse/releases', await current(), 'dist/former'))).toBe(
      true,
    );
    expect(await runCode('x')).toMatchObject({ resultText: '42', stateLost: false });
  });

  it('upgrade ends with 2 if the former release does not serve either', async () => {
    const cli = inMachine('opt/cellhouse/releases', await current(), 'dist/cli.js');
    const good = readFileSync(cli, 'utf8');
    breakRelease(cli, 'process.exit(1)');
    const { code, output } = await upgrade('/root/ends-at-once', '--no-backup');
    writeFileSync(cli, good);
    expect(output).toContain('The former release is not ready either.');
    expect(code).toBe(2);
    await machine.run('systemctl', 'restart', 'cellhouse');
    await ready();
    expect(await runCode('x')).toMatchObject({ resultText: '42', stateLost: false });
  });

  it('the timer makes backups and prunes them', async () => {
    const old = Array.from({ length: 8 }, (_, day) => `cellhouse-2020-01-0${day + 1}T03-00-00Z`);
    for (const name of old) mkdirSync(inMachine(BACKUPS, name));
    execFileSync('chown', [
      '--recursive',
      '--reference',
      inMachine('var/lib/cellhouse'),
      inMachine(BACKUPS),
    ]);
    write(
      `${OVERRIDES}/cellhouse-backup.timer.d/soon.conf`,
      '[Timer]\nOnCalendar=\nOnCalendar=*:*:0/5\nRandomizedDelaySec=0\nAccuracySec=100ms\n',
    );
    await machine.run('systemctl', 'daemon-reload');
    await machine.run('systemctl', 'restart', 'cellhouse-backup.timer');
    const names = () =>
      readdirSync(inMachine(BACKUPS)).filter((name) => !name.endsWith('.unfinished'));
    await until(
      'a backup has pruned the old ones',
      async () => names().length === 7 && !names().includes(String(old[0])),
    );
    await machine.run('systemctl', 'stop', 'cellhouse-backup.timer');
    expect(names().some((name) => existsSync(inMachine(BACKUPS, name, 'backup.json')))).toBe(true);
  });

  it('a backup is restored, and sessions that were not used since go on', async () => {
    const page = 'docs/run/backup.md';
    const command = commandOf(page, 'cellhouse service run restore ', {
      'cellhouse-2026-12-01T03-00-00Z': readdirSync(inMachine(BACKUPS)).sort().at(-1) ?? '',
    });
    const away = commandOf(page, 'systemctl stop ');
    const { code, output } = await machine.run(
      ...['sh', '-e', '-c', [away, command, commandOf(page, 'systemctl start ')].join('\n')],
    );
    expect({ code, output }).toMatchObject({
      code: 0,
      output: expect.stringContaining('Restored'),
    });
    await ready();
    expect(await runCode('x')).toMatchObject({ resultText: '42', stateLost: false });
  });

  it('stop ends every process of the service, and sessions go on', async () => {
    await machine.run('systemctl', 'stop', 'cellhouse');
    expect(await processes('cellhouse')).toEqual([]);
    expect(existsSync(inMachine('var/lib/cellhouse/postgres/data/postmaster.pid'))).toBe(false);
    await machine.run('systemctl', 'start', 'cellhouse');
    await ready();
    expect(await runCode('x')).toMatchObject({ resultText: '42', stateLost: false });
  });

  it('a reboot waits for Docker, then serves with the records, and PostgreSQL was never killed', async () => {
    // PostgreSQL also writes there that the backup that was restored above was interrupted.
    const written = readFileSync(inMachine(SERVER_LOG)).length;
    await machine.powerOff();
    // The reboot of a machine also ends the containers.
    await engine.kill('SIGTERM');
    await engine.start(false);
    await engine.kill('SIGTERM');
    await machine.boot();
    expect(await state('docker')).toBe('activating');
    expect(await state('cellhouse')).toBe('inactive');
    await engine.start();
    await ready();
    expect(await runCode('"x" in globals()')).toMatchObject({
      resultText: 'False',
      stateLost: true,
    });
    const log = readFileSync(inMachine(SERVER_LOG)).subarray(written).toString();
    expect(log).toContain('database system was shut down at');
    expect(log).not.toMatch(/interrupted|not properly shut down/);
  });

  it('remove leaves what the page lists', async () => {
    const remove = commandOf(PAGE, 'cellhouse service remove');
    const { code, output } = await machine.run(...remove.split(' '));
    expect(code).toBe(0);
    expect(await engine.docker.listContainers({ all: true })).toEqual([]);
    expect(await processes('cellhouse')).toEqual([]);
    for (const path of [
      'opt/cellhouse',
      'usr/local/bin/cellhouse',
      'run/cellhouse',
      'etc/systemd/system/cellhouse.service',
    ])
      expect(existsSync(inMachine(path))).toBe(false);
    for (const path of ['/var/lib/cellhouse', '/var/backups/cellhouse', '/etc/cellhouse']) {
      expect(output).toContain(path);
      expect(existsSync(inMachine(path))).toBe(true);
    }
    expect(readFileSync(inMachine('etc/passwd'), 'utf8')).toContain('cellhouse:');
  });

  it('install of an installed npm package serves, and remove leaves the command of npm', async () => {
    const npm = (...words: string[]) => machine.run('npm', ...words, '--global');
    expect(await npm('install', PACKAGE)).toMatchObject({ code: 0 });
    const { code, output } = await machine.run('cellhouse', 'service', 'install');
    expect(output).toContain(`The service serves http://127.0.0.1:${port}.`);
    expect(code).toBe(0);
    expect(await runCode('6 * 7')).toMatchObject({ resultText: '42' });
    expect(await machine.run('cellhouse', 'service', 'remove')).toMatchObject({ code: 0 });
    expect((await machine.run('cellhouse', '--version')).output.trim()).toBe(version);
    expect(await npm('uninstall', 'cellhouse')).toMatchObject({ code: 0 });
  });

  it('install starts no backups of a PostgreSQL of your own, which they would refuse', async () => {
    write('etc/cellhouse/cellhouse.env', 'DATABASE_URL=postgres://nobody@127.0.0.1:1/nothing\n');
    const { code, output } = await install('--ready-within', '1');
    expect(output).toContain('The service is installed, but is not ready.');
    expect(code).toBe(1);
    expect(await state('cellhouse-backup.timer')).toBe('inactive');
    const enabled = await machine.run('systemctl', 'is-enabled', 'cellhouse-backup.timer');
    expect(enabled.output.trim()).toBe('disabled');
  });

  const inMachine = (...path: string[]) => join(machine.root, ...path);

  function write(path: string, text: string): void {
    mkdirSync(dirname(inMachine(path)), { recursive: true });
    writeFileSync(inMachine(path), text);
  }

  /** npm as Debian has it, with the registry, the name server and the authorities of this machine. */
  function addNpm(): void {
    copy(npmFolder(), inMachine('usr/lib/node_modules/npm'));
    symlinkSync('../lib/node_modules/npm/bin/npm-cli.js', inMachine('usr/bin/npm'));
    const registry = execFileSync('npm', ['config', 'get', 'registry'], { encoding: 'utf8' });
    const authorities = 'etc/ssl/certs/ca-certificates.crt';
    write('root/.npmrc', `prefix=/usr/local\nregistry=${registry}cafile=/${authorities}\n`);
    for (const file of [authorities, 'etc/resolv.conf'])
      write(file, readFileSync(`/${file}`, 'utf8'));
  }

  /** A release whose server runs `statement` before it serves. All its other commands work. */
  async function makeRelease(path: string, statement: string): Promise<void> {
    copy(inMachine('root/clone'), inMachine(path));
    breakRelease(inMachine(path, 'dist/cli.js'), statement);
  }

  function breakRelease(cli: string, statement: string): void {
    const text = readFileSync(cli, 'utf8');
    writeFileSync(cli, text.replace('\n', `\nif (process.argv[2] === 'start') { ${statement} }\n`));
  }

  async function runCode(code: string): Promise<Record<string, unknown>> {
    const token = readFileSync(inMachine('var/lib/cellhouse/auth-token'), 'utf8').trim();
    const answer: GraphqlAnswer<{ execute: Record<string, unknown> }> = await postGraphql(
      `http://127.0.0.1:${port}/graphql`,
      token,
      'mutation ($code: String!) { execute(input: { userUuid: "ann", code: $code, timeoutMs: 60000 }) { status resultText stateLost } }',
      { code },
    );
    if (!answer.data) throw new Error(JSON.stringify(answer.errors));
    return answer.data.execute;
  }

  async function ready(): Promise<void> {
    await until(
      '/readyz',
      async () => (await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => null))?.ok,
      120_000,
    );
  }

  const current = async () =>
    (await machine.run('readlink', '/opt/cellhouse/current')).output
      .trim()
      .replace('releases/', '');
  /** The release that is kept beside the current one. */
  const other = async () => {
    const serving = await current();
    return readdirSync(inMachine('opt/cellhouse/releases')).find((name) => name !== serving);
  };
  const install = (...options: string[]) => {
    const clone = { cellhouse: 'node /root/clone/dist/cli.js' };
    const command = commandOf(PAGE, 'cellhouse service install', clone);
    return machine.run('sh', '-c', `umask 077; exec ${command} ${options.join(' ')}`);
  };
  /** As docs/run/upgrade.md says, with the release and the options of a test. */
  const upgrade = (release: string, ...options: string[]) => {
    const of = { 'cellhouse-0.2.0.tgz': release };
    const command = commandOf('docs/run/upgrade.md', 'cellhouse service upgrade ', of);
    return machine.run('env', `NPM_CONFIG_REGISTRY=${registry}`, ...command.split(' '), ...options);
  };
  const mainPid = async () =>
    (
      await machine.run('systemctl', 'show', '--property=MainPID', '--value', 'cellhouse')
    ).output.trim();
  const state = async (unit: string) =>
    (await machine.run('systemctl', 'is-active', unit)).output.trim();

  /** The names of the programs that a user of the machine runs. */
  async function processes(user: string): Promise<string[]> {
    const script = `for p in /proc/[0-9]*; do [ "$(stat -c %U $p 2>/dev/null)" = ${user} ] && cat $p/comm; done; true`;
    return (await machine.run('sh', '-c', script)).output.split('\n').filter(Boolean);
  }
});

function copy(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true });
  cpSync(from, to, { recursive: true, verbatimSymlinks: true });
}
