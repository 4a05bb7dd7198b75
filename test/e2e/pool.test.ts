/** Dead workers are noticed and never handed out, and the reported pool agrees with the engine. */
import Docker from 'dockerode';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestGateway, type TestGateway } from '../../testkit/gateway.ts';
import {
  containerOf,
  execute,
  follow,
  poolStatus,
  printed,
  release,
  submit,
} from '../../testkit/interpreter.ts';
import { runCli } from '../../testkit/runCli.ts';
import { until } from '../../testkit/until.ts';
import { workerImage } from '../../testkit/workerImage.ts';

const docker = new Docker(
  process.env.DOCKER_HOST ? { socketPath: process.env.DOCKER_HOST.replace('unix://', '') } : {},
);

let gateway: TestGateway;
let other: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway();
  other = await startTestGateway({ MIN_IDLE_WORKERS: '1' });
  await Promise.all([poolLabel(gateway), poolLabel(other)]);
});
afterAll(async () => {
  await gateway.destroy();
  await other.destroy();
});

/** The containers of a gateway's pool according to the engine. */
async function containersOf(target: TestGateway): Promise<{ id: string; state: string }[]> {
  const pool = await poolLabel(target);
  const containers = await docker.listContainers({
    all: true,
    filters: { label: [`cellhouse.pool=${pool}`] },
  });
  return containers.map(({ Id, State }) => ({ id: Id, state: State }));
}

const labels = new Map<TestGateway, string>();
async function poolLabel(target: TestGateway): Promise<string> {
  const known = labels.get(target);
  if (known) return known;
  await execute(target, 'label', '1');
  const container = await docker.getContainer(await containerOf(target, 'label')).inspect();
  const label = container.Config.Labels['cellhouse.pool'] ?? '';
  labels.set(target, label);
  await release(target, 'label');
  return label;
}

/** Resolves when nothing is being started and the minimum of idle workers is there. */
async function atRest(target: TestGateway, idle: number) {
  return await until('the pool at rest', async () => {
    const status = await poolStatus(target);
    const isAtRest = status.startingWorkers === 0 && status.idleWorkers === idle;
    const containers = await containersOf(target);
    return isAtRest && containers.every(({ state }) => state === 'running') ? status : null;
  });
}

describe('a worker that dies', () => {
  it('a dead worker is noticed within 2 s; the next execute works and says that state was lost', async () => {
    await execute(gateway, 'ann', 'a = 1');
    const { id } = await submit(gateway, 'ann', 'import time\nprint("on")\ntime.sleep(60)', {
      timeoutMs: 60_000,
    });
    const following = follow(gateway.socket(), id);
    const container = await containerOf(gateway, 'ann');
    await printed(gateway.socket(), id, 1);
    await docker.getContainer(container).remove({ force: true });
    const removedAt = performance.now();
    const outputs = await following;
    expect(outputs.at(-1)).toMatchObject({ execution: { status: 'WORKER_LOST' } });
    expect((outputs.at(-1)?.receivedAt ?? Number.POSITIVE_INFINITY) - removedAt).toBeLessThan(
      2_000,
    );
    expect(await execute(gateway, 'ann', '2')).toMatchObject({ status: 'OK', stateLost: true });
    expect(await execute(gateway, 'ann', '3')).toMatchObject({ status: 'OK', stateLost: false });
  });

  it('a worker that somebody else restarted does not get the code a second time', async () => {
    await execute(gateway, 'ann', '0');
    const { id } = await submit(gateway, 'ann', 'print("once")\nimport time\ntime.sleep(60)', {
      timeoutMs: 60_000,
    });
    const following = follow(gateway.socket(), id);
    await printed(gateway.socket(), id, 1);
    await docker.getContainer(await containerOf(gateway, 'ann')).restart({ t: 0 });
    const outputs = await following;
    expect(outputs.map(({ text }) => text ?? '').join('')).toBe('once\n');
    expect(outputs.at(-1)).toMatchObject({ execution: { status: 'WORKER_LOST', stateLost: true } });
    expect(await execute(gateway, 'ann', '1')).toMatchObject({ status: 'OK', stateLost: true });
  });

  it('an idle worker that dies is replaced and never handed out', async () => {
    await atRest(gateway, 2);
    const busy = new Set([await containerOf(gateway, 'ann')]);
    const idle = (await containersOf(gateway)).filter(({ id }) => !busy.has(id));
    expect(idle).toHaveLength(2);
    for (const { id } of idle) await docker.getContainer(id).kill();
    const answers = await Promise.all(
      ['u1', 'u2', 'u3'].map((user) => execute(gateway, user, '1 + 1')),
    );
    expect(answers.map(({ status, resultText }) => [status, resultText])).toEqual([
      ['OK', '2'],
      ['OK', '2'],
      ['OK', '2'],
    ]);
    await atRest(gateway, 2);
    const left = (await containersOf(gateway)).map(({ id }) => id);
    for (const { id } of idle) expect(left).not.toContain(id);
    for (const user of ['u1', 'u2', 'u3']) await release(gateway, user);
  });
});

describe('the pool', () => {
  it('removes the container on release and refills; its status agrees with the engine', async () => {
    await execute(gateway, 'bob', '1');
    const container = await containerOf(gateway, 'bob');
    expect(await release(gateway, 'bob')).toBe(true);
    await expect(docker.getContainer(container).inspect()).rejects.toMatchObject({
      statusCode: 404,
    });
    expect(await release(gateway, 'bob')).toBe(false);
    const status = await atRest(gateway, 2);
    const containers = await containersOf(gateway);
    expect(containers.filter(({ state }) => state === 'running')).toHaveLength(status.totalWorkers);
    expect(containers).toHaveLength(status.totalWorkers);
  });

  it('leaves the containers of another installation alone, even when the gateway restarts', async () => {
    await execute(other, 'zoe', 'z = 26');
    await atRest(other, 1);
    await atRest(gateway, 2);
    const before = await containersOf(other);
    await gateway.kill('SIGKILL');
    await gateway.restart();
    await atRest(gateway, 2);
    expect(await containersOf(other)).toEqual(before);
    expect(await execute(other, 'zoe', 'z')).toMatchObject({ resultText: '26', stateLost: false });
  });

  it('the pool removes a container that has its label but is not recorded', async () => {
    const stranger = await docker.createContainer({
      Image: workerImage(),
      Labels: { 'cellhouse.pool': await poolLabel(gateway) },
    });
    await gateway.kill('SIGKILL');
    await gateway.restart();
    await expect(stranger.inspect()).rejects.toMatchObject({ statusCode: 404 });
  });
});

describe('down', () => {
  it('ends sessions, containers and the database of one installation', async () => {
    const label = await poolLabel(other);
    const { code, output } = await runCli(['down'], other.env);
    expect(output).toContain('Cellhouse is down');
    expect(code).toBe(0);
    const left = await docker.listContainers({
      all: true,
      filters: { label: [`cellhouse.pool=${label}`] },
    });
    expect(left).toEqual([]);
    await other.restart();
    expect(await execute(other, 'zoe', '1')).toMatchObject({ status: 'OK', stateLost: true });
  });
});
