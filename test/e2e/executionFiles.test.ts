/** The field `files` of executions under each runtime: which files their code, libraries and the API changed. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestGateway, type TestGateway } from '../../testkit/gateway.ts';
import { restartKernel } from '../../testkit/interpreter.ts';
import { EXTENT } from '../extent.ts';

interface Files {
  readonly changes:
    | readonly {
        readonly path: string;
        readonly change: string;
        readonly size: number | null;
        readonly url: string | null;
      }[]
    | null;
  readonly reason: string | null;
  readonly shared: boolean;
}

const FILES = 'status files { changes { path change size url } reason shared }';
/** Starts a thread that writes each text from the queue `asked` into a file. */
const BACKGROUND = `
import pathlib, queue, threading
asked, written = queue.Queue(), queue.Queue()
def write():
    while text := asked.get():
        pathlib.Path('background').write_text(text)
        written.put(True)
thread = threading.Thread(target=write)
thread.start()`;

describe.each(EXTENT.runtimes)('what an execution changed, under %s', (tier) => {
  let gateway: TestGateway;
  beforeAll(async () => {
    gateway = await startTestGateway({ DOCKER_RUNTIME: tier, MIN_IDLE_WORKERS: '0' });
  });
  afterAll(() => gateway?.destroy());

  async function run(userUuid: string, code: string, options = {}): Promise<Files> {
    const { data, errors } = await gateway.graphql<{ execute: { files: Files } }>(
      `mutation ($input: ExecuteInput!) { execute(input: $input) { ${FILES} } }`,
      { input: { userUuid, code, timeoutMs: 60_000, ...options } },
    );
    if (!data) throw new Error(JSON.stringify(errors));
    return data.execute.files;
  }

  /** The changes by path. Expects that they are known. */
  async function changes(userUuid: string, code: string, shared = false) {
    const files = await run(userUuid, code);
    expect(files).toMatchObject({ reason: null, shared });
    return Object.fromEntries((files.changes ?? []).map(({ path, change }) => [path, change]));
  }

  async function upload(userUuid: string, path: string): Promise<void> {
    const { errors } = await gateway.graphql(
      'mutation ($input: WriteFileInput!) { writeFile(input: $input) { path } }',
      { input: { userUuid, path, content: { text: 'from the API' } } },
    );
    expect(errors).toBeUndefined();
  }

  it('is the files that it created, modified, deleted and moved', async () => {
    expect(await changes('ann', '1 + 1')).toEqual({});
    expect(await changes('ann', "open('a', 'w').write('1')")).toEqual({ a: 'CREATED' });
    expect(await changes('ann', "open('a', 'w').write('12')")).toEqual({ a: 'MODIFIED' });
    expect(await changes('ann', "open('a').read()")).toEqual({});
    const move = "import os; os.makedirs('d/e'); os.rename('a', 'd/e/b')";
    expect(await changes('ann', move)).toEqual({ a: 'DELETED', 'd/e/b': 'CREATED' });
    expect(await changes('ann', "import shutil; shutil.rmtree('d')")).toEqual({
      'd/e/b': 'DELETED',
    });
    expect(await changes('ann', '1 + 1')).toEqual({});
  });

  it('leaves out links, caches, folders that begin with a dot, and files that are gone again', async () => {
    const code = `
import os, pathlib
for folder in ('.hidden', 'code/__pycache__', 'code/.git'):
    os.makedirs(folder)
    pathlib.Path(folder, 'file').write_text('x')
os.symlink('/etc/passwd', 'link')
os.symlink('.', 'loop')
os.mkfifo('fifo')
pathlib.Path('short').write_text('x'); os.remove('short')
pathlib.Path('code/main.py').write_text('x'); pathlib.Path('.env').write_text('x')`;
    expect(await changes('dot', code)).toEqual({ '.env': 'CREATED', 'code/main.py': 'CREATED' });
  });

  it('has files that libraries write, but not files that they read or cache', async () => {
    const plot = `
import matplotlib.pyplot as plt, pandas as pd
pd.DataFrame({'a': [1, 2]}).to_excel('table.xlsx')
plt.plot([1, 2]); plt.savefig('chart.png'); plt.close()`;
    expect(await changes('lib', plot)).toEqual({ 'chart.png': 'CREATED', 'table.xlsx': 'CREATED' });
    expect(await changes('lib', "pd.read_excel('table.xlsx')")).toEqual({});
  });

  it('has names of any bytes, and escapes bytes that are not UTF-8', async () => {
    const names = ['a\nb', '"', '\\', '..%2f', 'é', ' ', '$(x)'];
    const code = `for name in ${JSON.stringify(names)}: open(name, 'w').close()\nopen(b'\\xff', 'w').close()`;
    const { changes: found } = await run('names', code);
    expect(found?.map(({ path }) => path).sort()).toEqual([...names, '\\xff'].sort());
    const headers = { 'x-auth-token': gateway.token };
    for (const { path, url } of found ?? [])
      if (path.includes('\\')) expect(url).toBeNull();
      else expect((await fetch(`${gateway.url}${url}`, { headers })).status).toBe(200);
  });

  it('does not have files that the API changed before the execution', async () => {
    await upload('api', 'in/data.csv');
    expect(await changes('api', "open('in/data.csv').read()")).toEqual({});
    await upload('api', 'in/data.csv');
    expect(await changes('api', "open('out.csv', 'w').close()")).toEqual({ 'out.csv': 'CREATED' });
  });

  it('is marked as shared if the API changed a file meanwhile', async () => {
    const code = "import time\nopen('mine', 'w').close()\nprint('on')\ntime.sleep(3)";
    await run('during', '1');
    const running = run('during', code);
    await upload('during', 'theirs');
    const files = await running;
    expect(files).toMatchObject({ reason: null, shared: true });
    expect(files.changes).toEqual([
      { path: 'mine', change: 'CREATED', size: 0, url: '/files/during/mine' },
    ]);
    expect(await changes('during', '1 + 1')).toEqual({});
  });

  it('is marked as shared while threads or processes of earlier code run', async () => {
    await run('threads', BACKGROUND);
    const meanwhile = "for n in range(3): asked.put('x' * (n + 1)); written.get()";
    expect(await changes('threads', meanwhile, true)).toEqual({ background: 'CREATED' });
    expect(await changes('threads', meanwhile, true)).toEqual({ background: 'MODIFIED' });
    await run('threads', "asked.put(''); thread.join()");
    expect(await changes('threads', '1 + 1')).toEqual({});
    await run('threads', "import subprocess; child = subprocess.Popen(['sleep', '60'])");
    expect(await changes('threads', '1 + 1', true)).toEqual({});
    await run('threads', 'child.kill(); child.wait()');
    expect(await changes('threads', '1 + 1')).toEqual({});
  });

  it('is known if code failed or was interrupted, and unknown if its kernel was killed', async () => {
    expect(await changes('ends', "open('a', 'w').close(); 1 / 0")).toEqual({ a: 'CREATED' });
    const loop = "open('b', 'w').close()\nwhile True: pass";
    expect(await run('ends', loop, { timeoutMs: 500 })).toMatchObject({
      changes: [{ path: 'b', change: 'CREATED' }],
    });
    const killed = { changes: null, reason: 'KERNEL_REPLACED', shared: false };
    expect(await run('ends', "open('c', 'w').close(); import os; os.kill(os.getpid(), 9)")).toEqual(
      killed,
    );
    expect(await changes('ends', "open('d', 'w').close()")).toEqual({ d: 'CREATED' });
    await restartKernel(gateway, 'ends');
    expect(await changes('ends', '1 + 1')).toEqual({});
  });

  it('is null with a reason if there is too much to compare', async () => {
    const make = (count: number) => `
import os
os.makedirs('many', exist_ok=True)
for n in range(${count}): os.close(os.open(f'many/{n}', os.O_CREAT))`;
    const unknown = { changes: null, reason: expect.stringMatching(/^TOO_(SLOW|MANY_)/) };
    expect(await run('many', make(10_001))).toMatchObject(unknown);
    expect(await run('many', "open('x', 'w').close()")).toMatchObject(unknown);
    expect(await run('many', make(60_000))).toMatchObject(unknown);
    const deep = `
import os
os.chdir('/home/user')
for n in range(2000):
    os.mkdir('d'); os.chdir('d')
os.chdir('/home/user')`;
    expect(await run('deep', deep)).toMatchObject({
      changes: null,
      reason: expect.stringMatching(/^TOO_(DEEP|SLOW)$/),
    });
  });
});
