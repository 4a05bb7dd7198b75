/**
 * Runs the agent's tests of commands under each runtime, in a container that is a worker in all but its agent. There
 * are odd commands, commands with input or a terminal, and hostile commands that attack the rest of the worker.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Docker from 'dockerode';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PoolId, WorkerId } from '../../../src/domain/ids.ts';
import { newId } from '../../../src/process/newId.ts';
import { containerSpec } from '../../../src/runtime/docker/containerSpec.ts';
import { EXTENT } from '../../extent.ts';
import { agentWithTests, CHECKS_TIMEOUT_MS } from '../../support/agentWithTests.ts';
import type { Tier } from '../../support/probes.ts';
import { startWatched, type WatchedContainer } from '../../support/watchedContainer.ts';

/** Each test prints a line. The longest starts 84 commands. */
const SILENCE_LIMIT_MS = 120_000;
const RUN_TIMEOUT_MS = 600_000;
/** Enough for 64 commands at once, each with its reaper. */
const LIMITS = { memoryMb: 1_500, diskMb: 256, cpus: 2, pids: 512 };
/** Hostile commands come first: they look for connections, and other commands leave connections behind for a while. */
const TESTS = [
  'hostile_commands',
  'test_odd_commands',
  'test_commands',
  'test_command_processes',
  'test_waiting_processes',
  'test_command_input',
  'test_terminals',
];
const docker = new Docker();
const folder = mkdtempSync(join(tmpdir(), 'cellhouse-commands-'));
const containers: WatchedContainer[] = [];
let image: string;

beforeAll(async () => {
  image = await agentWithTests(docker);
}, CHECKS_TIMEOUT_MS);

afterAll(async () => {
  await Promise.all(containers.map((container) => container.close()));
  rmSync(folder, { recursive: true });
});

describe.each(EXTENT.runtimes)('under %s', (tier) => {
  it(
    'commands report their true end, leave no process, and reach nothing that is not theirs',
    async () => {
      expect(await run(tier)).toMatch(/\nRan [1-9]\d* tests in [^\n]*\n\nOK\n$/);
    },
    RUN_TIMEOUT_MS,
  );
});

async function run(tier: Tier): Promise<string> {
  const spec = containerSpec(
    {
      workerId: newId<WorkerId>(),
      poolId: newId<PoolId>(),
      name: `cellhouse-commands-${process.pid}-${tier}`,
      imageId: image,
      limits: LIMITS,
      environment: { CELLHOUSE_TIER: tier, PYTHONDONTWRITEBYTECODE: '1' },
    },
    folder,
    tier,
  );
  const probes = new URL('probes', import.meta.url).pathname;
  const binds = [...(spec.HostConfig?.Binds ?? []), `${probes}:/probes:ro`];
  const container = await startWatched(
    docker,
    {
      ...spec,
      // Without the pool's label, no gateway takes the container for a worker of its own.
      Labels: { 'cellhouse.image': 'test' },
      WorkingDir: '/src/agent',
      Entrypoint: ['/usr/bin/tini', '--', '/usr/bin/python3', '-m', 'tests.in_worker'],
      Cmd: TESTS.map((name) => `tests.${name}`),
      HostConfig: { ...spec.HostConfig, Binds: binds },
    },
    SILENCE_LIMIT_MS,
  );
  containers.push(container);
  return await container.ended;
}
