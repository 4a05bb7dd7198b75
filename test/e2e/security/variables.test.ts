/**
 * A user may choose any environment variable, even those that make a loader, Python or a shell run code. The variables
 * must reach no process but the user's. Each process that has them leaves a mark, whose owner is the process's user.
 */

import Docker from 'dockerode';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WORKER_HOME } from '../../../src/domain/worker.ts';
import { startTestGateway, type TestGateway } from '../../../testkit/gateway.ts';
import { containerOf, execute, restartKernel } from '../../../testkit/interpreter.ts';
import { until } from '../../../testkit/until.ts';
import { workerImage } from '../../../testkit/workerImage.ts';
import { EXTENT } from '../../extent.ts';
import { forkServers } from '../../support/forkServers.ts';

const KERNEL_UID = 64_002;
const MARKS = '/tmp/marks';
/**
 * LD_DEBUG makes the loader write a file for each program that it starts, which names the library of LD_PRELOAD. No
 * program of the worker needs this library.
 */
const LOADED = 'libBrokenLocale.so.1';
const VARIABLES = {
  LD_PRELOAD: LOADED,
  LD_DEBUG: 'files',
  LD_DEBUG_OUTPUT: `${MARKS}/loader`,
  PYTHONPATH: `${WORKER_HOME}/evil`,
  BASH_ENV: `${WORKER_HOME}/evil/bash`,
  SECRET: 'never in a log',
};

/** Makes the files that PYTHONPATH and BASH_ENV lead to. The folder of the marks is open to every user. */
const PLANT = `
import os
os.makedirs("${MARKS}", exist_ok=True); os.chmod("${MARKS}", 0o777)
os.makedirs("${WORKER_HOME}/evil", exist_ok=True)
open("${WORKER_HOME}/evil/sitecustomize.py", "w").write("import os; open(f'${MARKS}/python.{os.getpid()}', 'w')")
open("${WORKER_HOME}/evil/bash", "w").write("> ${MARKS}/bash.$$")
`;

/** Starts a program of each kind. */
const START = `
import subprocess
subprocess.run(["/usr/bin/python3", "-c", ""], check=True)
subprocess.run(["/bin/bash", "-c", ":"], check=True)
`;

/** Prints, for each kind of mark, its owners, and whether the loader has loaded the library. */
const LOOK = `
import json, os
owners = {}
for name in os.listdir("${MARKS}"):
    owners.setdefault(name.partition(".")[0], set()).add(os.stat(f"${MARKS}/{name}").st_uid)
loaded = any("${LOADED}" in open(f"${MARKS}/{n}").read() for n in os.listdir("${MARKS}") if n.startswith("loader"))
print(json.dumps([{kind: sorted(found) for kind, found in sorted(owners.items())}, loaded]))
`;

const docker = new Docker(
  process.env.DOCKER_HOST ? { socketPath: process.env.DOCKER_HOST.replace('unix://', '') } : {},
);

const given = (values: Readonly<Record<string, string>>) =>
  Object.entries(values).map(([name, value]) => ({ name, value }));

describe.each(EXTENT.runtimes)('under %s, environment variables of a session', (tier) => {
  let gateway: TestGateway;
  beforeAll(async () => {
    gateway = await startTestGateway({
      WORKER_IMAGE: workerImage(),
      DOCKER_RUNTIME: tier,
      MIN_IDLE_WORKERS: '0',
    });
    const environmentVariables = given(VARIABLES);
    const { errors } = await gateway.graphql(
      'mutation Open($input: OpenSessionInput!) { openSession(input: $input) { id } }',
      { input: { userUuid: 'mallory', environmentVariables } },
    );
    expect(errors).toBeUndefined();
    await run(PLANT);
  });
  afterAll(() => gateway?.destroy());

  async function run(code: string, options = {}): Promise<string> {
    const ran = await execute(gateway, 'mallory', code, { timeoutMs: 60_000, ...options });
    expect(ran).toMatchObject({ status: 'OK' });
    return ran.stdout;
  }

  /** The marks of all processes so far: all are the user's, and there are some of each kind. */
  async function expectOnlyTheUsers(): Promise<void> {
    await run(START);
    const own = [KERNEL_UID];
    expect(JSON.parse(await run(LOOK))).toEqual([{ bash: own, loader: own, python: own }, true]);
  }

  it('reach programs that the code starts, and no process of another user', expectOnlyTheUsers);

  it('reach no process of another user when a kernel is forked', async () => {
    await restartKernel(gateway, 'mallory');
    expect(await run('import os; print(os.environ["SECRET"])')).toBe('never in a log\n');
    await expectOnlyTheUsers();
  });

  it('reach no process of another user when the fork server was killed, and a kernel is executed', async () => {
    expect(await forkServers(await containerOf(gateway, 'mallory'), 'kill')).toHaveLength(1);
    await restartKernel(gateway, 'mallory');
    expect(await run('import os; print(os.environ["SECRET"])')).toBe('never in a log\n');
    await expectOnlyTheUsers();
    await until('another fork server', async () => {
      await restartKernel(gateway, 'mallory');
      return (await run('print(open("/proc/self/cmdline").read())')).includes('fork_server');
    });
    await expectOnlyTheUsers();
  });

  it('of one execution reach no process of another user, not even when its kernel is replaced', async () => {
    await run(`import glob, os\nfor name in glob.glob("${MARKS}/*"): os.unlink(name)`);
    const environmentVariables = given({ ...VARIABLES, SECRET: 'never in a log' });
    await run(START, { environmentVariables });
    const command = { environmentVariables, language: 'BASH' };
    await run('/usr/bin/python3 -c ""; /bin/bash -c :', command);
    const killed = 'import os; os.kill(os.getpid(), 9)';
    await execute(gateway, 'mallory', killed, { environmentVariables });
    await restartKernel(gateway, 'mallory');
    await expectOnlyTheUsers();
  });

  it('appear in no log', async () => {
    const container = docker.getContainer(await containerOf(gateway, 'mallory'));
    const logs = await container.logs({ stdout: true, stderr: true, follow: false });
    for (const log of [logs.toString('utf8'), gateway.log()]) {
      expect(log).not.toMatch(/never in a log|libBrokenLocale|evil/);
    }
  });
});
