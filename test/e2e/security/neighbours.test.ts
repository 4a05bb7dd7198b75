/** What hostile code leaves behind and sees of others, in simultaneous sessions and from one session to the next. */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import Docker from 'dockerode';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WORKER_HOME } from '../../../src/domain/worker.ts';
import { startTestGateway, type TestGateway } from '../../../testkit/gateway.ts';
import { containerOf, execute, release, restartKernel } from '../../../testkit/interpreter.ts';
import { until } from '../../../testkit/until.ts';
import { workerImage } from '../../../testkit/workerImage.ts';
import { EXTENT } from '../../extent.ts';

const docker = new Docker(
  process.env.DOCKER_HOST ? { socketPath: process.env.DOCKER_HOST.replace('unix://', '') } : {},
);

/** A mark in every name and command line that the hostile session makes. */
const MARK = 'mallory-was-here';
const PORT = 47_001;

/** Makes servers, files, and processes that are hard to end: orphaned, deaf to signals, and forking for ever. */
const PLANT = `
import os, signal, socket, subprocess, sys
for folder in ("${WORKER_HOME}", "/tmp", "/dev/shm"):
    open(f"{folder}/${MARK}", "w").close()
tcp = socket.create_server(("127.0.0.1", ${PORT}))
abstract = socket.socket(socket.AF_UNIX); abstract.bind("\\0${MARK}"); abstract.listen()
DEAF = """
import os, signal, sys, time
for number in range(1, 65):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
os.setsid()
end = time.monotonic() + 50
while time.monotonic() < end:
    if sys.argv[2] == "forks" and os.fork(): os._exit(0)
    time.sleep(0.05)
"""
for kind in ("stays", "forks"):
    subprocess.Popen([sys.executable, "-c", DEAF, "${MARK}", kind], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
`;

/** Prints everything that is visible, as JSON. */
const LOOK = `
import json, os, socket
def connect(family, address):
    with socket.socket(family) as client:
        try: client.connect(address)
        except OSError as error: return os.strerror(error.errno)
        return "connected"
def commands():
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try: yield open(f"/proc/{entry}/cmdline").read()
            except OSError: pass
print(json.dumps({
    "tcp": connect(socket.AF_INET, ("127.0.0.1", ${PORT})),
    "abstract": connect(socket.AF_UNIX, "\\0${MARK}"),
    "files": [f"{folder}/{name}" for folder in ("${WORKER_HOME}", "/tmp", "/dev/shm") for name in os.listdir(folder) if "${MARK}" in name],
    "processes": sum("${MARK}" in command for command in commands()),
    "unix": "${MARK}" in open("/proc/net/unix").read(),
}))
`;
const NOTHING = {
  tcp: 'Connection refused',
  abstract: 'Connection refused',
  files: [],
  processes: 0,
  unix: false,
};

/** Files that Python, IPython, bash and matplotlib read at their start. Each would leave a mark. */
const PLANT_START_FILES = `
import os
code = "open('/tmp/start-file-ran', 'a').write(__file__ if '__file__' in globals() else 'x')\\n"
names = ["sitecustomize.py", "usercustomize.py", "json.py", "ipykernel.py", "cellhouse_kernel.py", "numpy.py", "zmq.py",
  ".ipython/profile_default/startup/00.py", ".ipython/profile_default/ipython_config.py", ".pythonrc.py",
  ".local/lib/python3.13/site-packages/usercustomize.py", ".local/lib/python3.13/site-packages/x.pth",
  ".jupyter/jupyter_config.py", ".config/matplotlib/matplotlibrc", "ipython_kernel_config.py"]
for name in names:
    path = f"${WORKER_HOME}/{name}"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    text = "import os; " + code if name.endswith(".pth") else code
    if name.endswith("rc"): text = "backend: module://planted\\n"
    open(path, "w").write(text)
for folder in ("/tmp", "/dev/shm"):
    open(f"{folder}/sitecustomize.py", "w").write(code)
`;

describe.each(EXTENT.runtimes)('under %s', (tier) => {
  let gateway: TestGateway;
  beforeAll(async () => {
    gateway = await startTestGateway({
      WORKER_IMAGE: workerImage(),
      DOCKER_RUNTIME: tier,
      MIN_IDLE_WORKERS: '0',
    });
    expect(await execute(gateway, 'mallory', PLANT)).toMatchObject({ status: 'OK', stderr: '' });
  });
  afterAll(() => gateway?.destroy());

  const look = async (user: string): Promise<unknown> =>
    JSON.parse((await execute(gateway, user, LOOK)).stdout);

  it('code sees what it made itself, which proves that the search works', async () => {
    expect(await look('mallory')).toMatchObject({
      tcp: 'connected',
      abstract: 'connected',
      files: expect.objectContaining({ length: 3 }),
      // The process that stays. The forking one may be seen twice or be missed.
      processes: expect.toSatisfy((count: number) => count >= 1),
      unix: true,
    });
  });

  it('a session sees and reaches nothing of another session', async () => {
    expect(await look('victim')).toEqual(NOTHING);
  });

  it('no process outlives its kernel, however it forks and whatever it ignores', async () => {
    await restartKernel(gateway, 'mallory');
    expect(await look('mallory')).toEqual({ ...NOTHING, files: expect.any(Array) });
  });

  it('nothing that code leaves in its folders runs when its next kernel starts', async () => {
    await execute(gateway, 'mallory', PLANT_START_FILES);
    await restartKernel(gateway, 'mallory');
    const ran = 'import os; print(os.path.exists("/tmp/start-file-ran"))';
    expect(await execute(gateway, 'mallory', ran)).toMatchObject({ stdout: 'False\n' });
    const backend =
      'import sys; sys.path.remove("") if "" in sys.path else None; import matplotlib; matplotlib.get_backend()';
    expect((await execute(gateway, 'mallory', backend)).resultText).toContain('inline');
  });

  it('a release ends every process and takes away container and socket folder', async () => {
    await execute(gateway, 'mallory', PLANT);
    const container = await containerOf(gateway, 'mallory');
    const { Mounts } = await docker.getContainer(container).inspect();
    const folders = Mounts.map(({ Source }) => Source).filter(Boolean);
    expect(folders.some((folder) => existsSync(folder))).toBe(true);
    expect(hostCommands(container).length).toBeGreaterThan(0);

    expect(await release(gateway, 'mallory')).toBe(true);
    await expect(docker.getContainer(container).inspect()).rejects.toMatchObject({
      statusCode: 404,
    });
    expect(folders.filter((folder) => existsSync(folder))).toEqual([]);
    await until('its processes gone', async () => {
      return hostCommands(container).length === 0 && hostCommands(MARK).length === 0;
    });
  });

  it("the same user's next session finds nothing of the last", async () => {
    expect(await look('mallory')).toEqual(NOTHING);
  });
});

/** The command lines on the host that contain a text, except the tests' own. */
function hostCommands(text: string): string[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry) && Number(entry) !== process.pid)
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
      } catch (error: unknown) {
        if (error instanceof Error && 'code' in error) return '';
        throw error;
      }
    })
    .filter((command) => command.includes(text));
}
