/** What `cellhouse doctor` finds of a Docker engine: another one, one without live-restore, a false gVisor, a dead one. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { DOCTOR_LIMIT_MS } from '../../src/doctor/doctor.ts';
import { signal } from '../../src/postgres/server.ts';
import { startTestGateway, type TestGateway } from '../../testkit/gateway.ts';
import { createOwnEngine, type OwnEngine } from '../../testkit/ownEngine.ts';
import { lightWorkerImage } from '../../testkit/workerImage.ts';
import { findingsOf, troublesOf } from '../support/doctor.ts';

const LACKS_ROOT = process.getuid?.() !== 0;

let gateway: TestGateway;
let engine: OwnEngine;
let folder: string;
/** The settings of the gateway's installation, with the test's engine instead of the machine's. */
let env: Record<string, string>;
beforeAll(async () => {
  if (LACKS_ROOT) return;
  gateway = await startTestGateway({ MIN_IDLE_WORKERS: '0' });
  // This `runsc` is runc, under which the agent cannot set the limit of processes, as it does under gVisor.
  const runc = execFileSync('sh', ['-c', 'command -v runc'], { encoding: 'utf8' }).trim();
  engine = await createOwnEngine({ runsc: { path: runc } });
  await engine.load(lightWorkerImage());
  await engine.start(false);
  folder = mkdtempSync(join(tmpdir(), 'ch-doctor-'));
  env = { ...gateway.env, DOCKER_HOST: engine.host };
}, 120_000);
afterAll(async () => {
  if (LACKS_ROOT) return;
  await engine.destroy();
  await gateway.destroy();
  rmSync(folder, { recursive: true, force: true });
}, 60_000);

it.skipIf(LACKS_ROOT)(
  'finds another engine, without live-restore, and that nothing starts under a runsc that is not gVisor',
  async () => {
    const { code, findings } = await findingsOf([], { ...env, DOCKER_RUNTIME: 'runsc' });
    expect(troublesOf(findings, 'failure')).toEqual([
      ['worker', 'workerFailed'],
      ['same-engine', 'otherEngine'],
    ]);
    expect(troublesOf(findings, 'warning')).toContainEqual(['live-restore', 'liveRestore']);
    expect(code).toBe(1);
    expect(await engine.docker.listContainers({ all: true })).toEqual([]);
  },
  60_000,
);

it.skipIf(LACKS_ROOT)(
  'leaves no worker and no folder where no gateway has ever served',
  async () => {
    const unused = {
      DATA_DIR: join(folder, 'data'),
      SOCKET_DIR: join(folder, 's'),
      DATABASE_URL: '',
    };
    const { findings } = await findingsOf([], { ...env, ...unused, PORT: '0' });
    expect(troublesOf(findings, 'failure')).toEqual([]);
    expect(findings.find(({ check }) => check === 'worker')?.state).toBe('ok');
    expect(await engine.docker.listContainers({ all: true })).toEqual([]);
    expect(execFileSync('find', [folder], { encoding: 'utf8' }).trim()).toBe(folder);
  },
  60_000,
);

it.skipIf(LACKS_ROOT)(
  'ends in time while the engine hangs, and finds that it is dead',
  async () => {
    const pid = Number(readFileSync(engine.places.pidFile, 'utf8'));
    signal(pid, 'SIGSTOP');
    const startedAt = performance.now();
    const hanging = await findingsOf([], env).finally(() => signal(pid, 'SIGCONT'));
    expect(performance.now() - startedAt).toBeLessThan(DOCTOR_LIMIT_MS);
    expect(troublesOf(hanging.findings, 'failure')).toEqual([['engine', 'engineAway']]);
    await engine.kill('SIGKILL');
    const dead = await findingsOf([], env);
    expect(troublesOf(dead.findings, 'failure')).toEqual([['engine', 'engineAway']]);
    expect(dead.code).toBe(1);
  },
  120_000,
);
