/** The main purpose: stateful Python for several users, under each runtime. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WORKER_HOME } from '../../src/domain/worker.ts';
import { startTestGateway, type TestGateway } from '../../testkit/gateway.ts';
import { execute, follow, interrupt, runCommand, submit } from '../../testkit/interpreter.ts';
import { workerImage } from '../../testkit/workerImage.ts';
import { TIERS } from '../support/probes.ts';

interface HomeReport {
  readonly homes: readonly string[];
  /** The user, group and mode of the home. */
  readonly owner: readonly unknown[];
  readonly caches: readonly string[];
  readonly written: readonly string[];
}
/** Prints a {@link HomeReport}. One program looks for matplotlib's cache without the variable that our kernel sets. */
const ASK_FOR_HOME = `
import json, os, pathlib, pwd, subprocess
def printed(command):
    return subprocess.run(command, shell=True, capture_output=True, text=True, check=True).stdout.strip()
homes = [os.getcwd(), str(pathlib.Path.cwd()), str(pathlib.Path.home()), os.path.expanduser("~"), os.environ["HOME"],
  pwd.getpwuid(os.getuid()).pw_dir, os.path.realpath("/workspace"), os.path.realpath("/mnt/data"),
  printed("pwd"), printed("echo ~"), printed("bash -lc pwd"), get_ipython().run_line_magic("pwd", "")]
home = os.stat(homes[0])
written = []
for link in ("/workspace", "/mnt/data"):
    pathlib.Path(link, "linked").write_text("by link")
    written.append(pathlib.Path("linked").read_text())
caches = [get_ipython().ipython_dir,
  printed("env -u MPLCONFIGDIR python3 -W error -c 'import matplotlib.pyplot, matplotlib; print(matplotlib.get_cachedir())'")]
print(json.dumps({"homes": homes, "owner": [home.st_uid, home.st_gid, oct(home.st_mode)], "caches": caches, "written": written}))
`;

describe.each(TIERS)('a session under %s', (tier) => {
  let gateway: TestGateway;
  beforeAll(async () => {
    gateway = await startTestGateway({
      WORKER_IMAGE: workerImage(),
      DOCKER_RUNTIME: tier,
      MIN_IDLE_WORKERS: '0',
    });
  });
  afterAll(() => gateway?.destroy());

  it('keeps variables from one execute to the next, and only for its user', async () => {
    expect(await execute(gateway, 'ann', 'a = 10')).toMatchObject({
      status: 'OK',
      resultText: null,
    });
    expect(await execute(gateway, 'ann', 'print(a * 20)')).toMatchObject({
      status: 'OK',
      stdout: '200\n',
      resultText: '200\n',
    });
    expect(await execute(gateway, 'bob', 'print("before")\na')).toMatchObject({
      status: 'ERROR',
      stdout: 'before\n',
      error: { name: 'NameError', value: "name 'a' is not defined" },
    });
  });

  it('gives the value of the last line as text', async () => {
    expect((await execute(gateway, 'ann', "'x'")).resultText).toBe("'x'");
    expect((await execute(gateway, 'ann', "print('y')\n'x'")).resultText).toBe("y\n'x'");
  });

  it('has one home, under each of its names and for each program', async () => {
    const ran = await execute(gateway, 'ann', ASK_FOR_HOME);
    expect(ran).toMatchObject({ status: 'OK', stderr: '' });
    const { homes, owner, caches, written } = JSON.parse(ran.stdout) as HomeReport;
    expect(new Set(homes)).toEqual(new Set([WORKER_HOME]));
    expect(owner).toEqual([64_002, 64_002, '0o40700']);
    expect(caches).toEqual([`${WORKER_HOME}/.ipython`, `${WORKER_HOME}/.cache/matplotlib`]);
    expect(written).toEqual(['by link', 'by link']);
  });

  it('gets a fresh kernel even if code took all permissions from its home', async () => {
    await execute(gateway, 'cleo', 'import os; os.chmod(os.path.expanduser("~"), 0); os._exit(1)');
    const ran = await execute(
      gateway,
      'cleo',
      'import os; home = os.path.expanduser("~"); os.chmod(home, 0o700); os.chdir(home); os.listdir()',
    );
    expect(ran).toMatchObject({ status: 'OK' });
  });

  it('draws a chart with a Chinese title, without warnings about missing glyphs', async () => {
    const chart = await execute(
      gateway,
      'ann',
      `import matplotlib.pyplot as plt
plt.plot([0, 1, 0, -1])
plt.title('正弦波')
plt.show()`,
      { timeoutMs: 30_000 },
    );
    expect(chart).toMatchObject({ status: 'OK', stderr: '' });
    expect(chart.outputs.map(({ __typename }) => __typename)).toEqual(['RichOutput']);
    const png = Buffer.from(chart.resultBase64 ?? '', 'base64');
    expect(png.subarray(1, 4).toString()).toBe('PNG');
    expect(png.length).toBeGreaterThan(5_000);
  });

  it('stops a runaway loop at its limit and keeps the variables', async () => {
    await execute(gateway, 'ann', 'a = 10');
    const startedAt = performance.now();
    const runaway = await execute(gateway, 'ann', 'while True: pass', { timeoutMs: 2_000 });
    expect(runaway).toMatchObject({ status: 'TIMEOUT', stateLost: false });
    expect(performance.now() - startedAt).toBeGreaterThan(1_900);
    expect(await execute(gateway, 'ann', 'a')).toMatchObject({ status: 'OK', resultText: '10' });
  });

  it('streams output while the code runs', async () => {
    // The code ends only once its first output has arrived here.
    const { id } = await submit(
      gateway,
      'ann',
      `import os, time
print('begun')
while not os.path.exists('go-on'):
    time.sleep(0.05)
print('done')`,
    );
    const outputs = await follow(gateway.socket(), id, 0, async ({ text }) => {
      if (text?.startsWith('begun')) await runCommand(gateway, 'ann', 'touch go-on');
    });
    expect(outputs.map(({ text }) => text ?? '').join('')).toBe('begun\ndone\n');
    expect(outputs.at(-1)).toMatchObject({
      __typename: 'ExecutionFinished',
      execution: { status: 'OK' },
    });
    expect(outputs.map(({ seq }) => seq)).toEqual(outputs.map((_, index) => index + 1));
  });

  it('interrupts running code and keeps the variables', async () => {
    const { id } = await submit(gateway, 'ann', 'import time\nprint("on")\ntime.sleep(60)', {
      timeoutMs: 60_000,
    });
    const following = follow(gateway.socket(), id);
    expect(await interrupt(gateway, id)).toBe('INTERRUPTED');
    expect((await following).at(-1)?.execution?.status).toBe('INTERRUPTED');
    expect((await execute(gateway, 'ann', 'a')).resultText).toBe('10');
  });

  it('cancels queued code at once, while other code of the session prints', async () => {
    const busy = await submit(
      gateway,
      'ann',
      'import time\nfor i in range(300):\n    print(i)\n    time.sleep(0.01)',
    );
    const queued = await submit(gateway, 'ann', 'a = "never"');
    expect(await interrupt(gateway, queued.id)).toBe('CANCELLED');
    const { data } = await gateway.graphql<{ execution: { status: string } }>(
      'query ($id: ID!) { execution(id: $id) { status } }',
      { id: busy.id },
    );
    // So the answer has not waited for the end of the busy code, which may not even have begun.
    expect(['QUEUED', 'RUNNING']).toContain(data?.execution.status);
    const outputs = await follow(gateway.socket(), busy.id);
    expect(outputs.at(-1)?.execution?.status).toBe('OK');
    expect((await execute(gateway, 'ann', 'a')).resultText).toBe('10');
  });

  it('gives a fresh kernel on request: variables are gone, files stay', async () => {
    await execute(gateway, 'ann', 'open("note.txt", "w").write("kept")');
    const answer = await gateway.graphql<{ restartKernel: { closedAt: string | null } }>(
      'mutation { restartKernel(input: { userUuid: "ann" }) { id closedAt } }',
    );
    expect(answer.data?.restartKernel.closedAt).toBeNull();
    const first = await execute(gateway, 'ann', 'a');
    expect(first).toMatchObject({ error: { name: 'NameError' }, stateLost: true });
    const second = await execute(gateway, 'ann', 'open("note.txt").read()');
    expect(second).toMatchObject({ resultText: "'kept'", stateLost: false });
  });

  it('answers the same key with the same execution', async () => {
    const first = await execute(gateway, 'ann', 'n = 1', { idempotencyKey: 'k1' });
    expect((await execute(gateway, 'ann', 'n = 1', { idempotencyKey: 'k1' })).id).toBe(first.id);
    await expect(execute(gateway, 'ann', 'n = 2', { idempotencyKey: 'k1' })).rejects.toThrow(
      'IDEMPOTENCY_CONFLICT',
    );
  });
});
