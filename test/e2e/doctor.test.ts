/** `cellhouse doctor` beside a real gateway: it finds nothing wrong and changes nothing, and then it finds faults. */
import { chmodSync, readdirSync } from 'node:fs';
import Docker from 'dockerode';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { CHECKS } from '../../src/doctor/troubles.ts';
import { OWN_SERVER, startTestGateway, type TestGateway } from '../../testkit/gateway.ts';
import { poolStatus } from '../../testkit/interpreter.ts';
import { runCli } from '../../testkit/runCli.ts';
import { until } from '../../testkit/until.ts';
import { findingsOf, troublesOf } from '../support/doctor.ts';
import { commandOf } from '../support/userPages.ts';

/** What differs from machine to machine, and may be no more than a warning. A test's database has no backup. */
const OF_THE_MACHINE = [
  ...['backup', 'live-restore', 'image', 'disks', 'memory', 'clock', 'node', 'limits'],
];

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway({
    ...OWN_SERVER,
    ...{ MIN_IDLE_WORKERS: '1', MAX_TOTAL_WORKERS: '3', TRUSTED_PROXIES: '127.0.0.1' },
  });
  await until('a worker is idle', async () => (await poolStatus(gateway)).idleWorkers === 1);
});
afterAll(async () => await gateway.destroy());

/** The ids of all containers with a folder below the gateway's SOCKET_DIR: its workers, and those of doctor. */
async function containers(): Promise<string[]> {
  const all = await new Docker().listContainers({ all: true });
  const isHere = ({ Mounts }: Docker.ContainerInfo) =>
    Mounts.some(({ Source }) => Source.startsWith(`${gateway.env.SOCKET_DIR}/`));
  return all.filter(isHere).map(({ Id }) => Id);
}

it('finds nothing wrong with a gateway that serves, and changes nothing', async () => {
  const files = readdirSync(gateway.dataDir).sort();
  const before = [await poolStatus(gateway), await containers()];
  expect(before[1]).toHaveLength(1);
  const { code, findings } = await findingsOf(['--url', gateway.url], gateway.env);
  expect(findings.filter(({ state }) => state === 'failure' || state === 'unknown')).toEqual([]);
  const warned = findings.filter(({ state }) => state === 'warning').map(({ check }) => check);
  expect(warned.filter((check) => !OF_THE_MACHINE.includes(check))).toEqual([]);
  expect([...new Set(findings.map(({ check }) => check))]).toEqual(CHECKS);
  expect(code).toBe(0);
  expect(readdirSync(gateway.dataDir).sort()).toEqual(files);
  expect([await poolStatus(gateway), await containers()]).toEqual(before);
});

it('finds the walls of a worker under gVisor, and the worker that is not under it', async () => {
  const { findings } = await findingsOf([], { ...gateway.env, DOCKER_RUNTIME: 'runsc' });
  expect(findings.filter(({ check }) => ['runtime', 'worker', 'walls'].includes(check))).toEqual([
    { check: 'runtime', state: 'ok', found: expect.any(String) },
    expect.objectContaining({
      ...{ check: 'runtime', state: 'warning', trouble: 'otherRuntime' },
      found: 'Of the workers, 1 run under runc, not under runsc',
    }),
    { check: 'worker', state: 'ok', found: expect.any(String) },
    { check: 'walls', state: 'ok', found: expect.stringContaining('runsc') },
  ]);
});

it('finds several faults at once, and says what to do about each', async () => {
  chmodSync(gateway.dataDir, 0o777);
  const env = {
    ...gateway.env,
    ...{
      WORKER_IMAGE: 'cellhouse-no-such-image:1',
      DATABASE_URL: 'postgres://a:hush@127.0.0.1:1/b',
    },
  };
  try {
    const { code, findings } = await findingsOf([], env);
    expect(troublesOf(findings, 'failure')).toEqual([
      ['image', 'imageMissing'],
      ['database', 'databaseAway'],
      ['permissions', 'openToOthers'],
    ]);
    expect(code).toBe(1);
    const command = commandOf('docs/run/troubleshooting.md', 'npx cellhouse doctor');
    const { output } = await runCli(command.split(' ').slice(2), env);
    expect(output).toMatch(
      /^FAILURE +image +The worker image cellhouse-no-such-image:1 does not exist/m,
    );
    expect(output).toMatch(/^ +do: +bring it back .*upgrade\.md/m);
    expect(output).toContain('3 failed, ');
    expect(output).not.toContain('hush');
  } finally {
    chmodSync(gateway.dataDir, 0o711);
  }
});

it('finds wrong settings, and checks nothing else then', async () => {
  const { code, findings } = await findingsOf([], { ...gateway.env, MIN_IDLE_WORKERS: 'two' });
  expect(code).toBe(1);
  expect(troublesOf(findings, 'failure')).toEqual([['settings', 'settings']]);
  expect(new Set(findings.slice(1).map(({ state }) => state))).toEqual(new Set(['unknown']));
});
