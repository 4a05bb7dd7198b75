/**
 * File operations on files that are too large, too many or changing, or in a worker that has run out of a resource.
 * Such an operation may fail. It never hangs, ends the agent, or gives the content of another file.
 */
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { asRoot } from '../../../testkit/asRoot.ts';
import { EXTENT } from '../../extent.ts';
import { type FilesOfAgent, useFilesOfAgent } from '../../support/workerFiles.ts';

const MIB = 1_048_576;
/** 60,000 files take gVisor half a minute, and twice that on a busy machine. */
const MANY_FILES = { timeout: 300_000 };
/** Kills the helper of files. The script finds it by its user ids, which no other process has. */
const KILL_HELPER = `for folder in /proc/[0-9]*; do
  grep -qE '^Uid:.64001.*64002$' $folder/status && kill -9 \${folder#/proc/}; done`;

describe.each(EXTENT.runtimes)('under %s, a file operation', (tier) => {
  const worker = useFilesOfAgent(tier);
  const python = (code: string) => worker().python(code);
  const outcome: FilesOfAgent['outcome'] = (operation) => worker().outcome(operation);

  it('streams a sparse file of a terabyte without holding it', async () => {
    await python(`import os
os.close(os.open("sparse", os.O_CREAT | os.O_WRONLY)); os.truncate("sparse", 2**40)`);
    const before = await worker().agent.agentBytes();
    const content = await worker().files.read('sparse');
    expect(content.length).toBe(2 ** 40);
    let bytes = 0;
    for await (const chunk of content.body) {
      bytes += (chunk as Buffer).length;
      if (bytes > 64 * MIB) break;
    }
    expect(await readPart('sparse', 2 ** 40 - 3)).toEqual(Buffer.alloc(3));
    expect(await outcome((files) => files.move('sparse', '/tmp/sparse'))).toMatch(
      /^(disk_full|timed_out|ok)$/,
    );
    expect((await worker().agent.agentBytes()) - before).toBeLessThan(16 * MIB);
    for (const path of ['sparse', '/tmp/sparse']) await outcome((files) => files.remove(path));
    expect(await python('print(6 * 7)')).toBe('42\n');
  });

  const readPart = async (path: string, offset: number) =>
    await buffer((await worker().files.read(path, { offset })).body);

  it('breaks off when a file shrinks, and sends no more when it grows', async () => {
    await python('open("changing", "wb").write(b"x" * 40_000_000)');
    const shrinking = await worker().files.read('changing');
    await python('import os; os.truncate("changing", 10)');
    await expect(buffer(shrinking.body)).rejects.toThrow();
    await python('open("changing", "wb").write(b"y" * 20_000_000)');
    const growing = await worker().files.read('changing');
    await python('open("changing", "ab").write(b"z" * 1000); os.unlink("changing")');
    expect((await buffer(growing.body)).equals(Buffer.alloc(20_000_000, 'y'))).toBe(true);
  });

  it('lists and deletes 60,000 entries, while the kernel works', MANY_FILES, async () => {
    await python(`import os
os.mkdir("many")
for number in range(60_000):
    os.close(os.open(f"many/{number:05}", os.O_CREAT))`);
    const listing = worker().listAll('many');
    expect(await python('print(6 * 7)')).toBe('42\n');
    const names = (await listing).map(({ name }) => name);
    expect(names).toEqual(Array.from({ length: 60_000 }, (_, i) => String(i).padStart(5, '0')));
    const deleting = worker().files.remove('many', { recursive: true });
    expect(await python('print(6 * 7)')).toBe('42\n');
    expect(await deleting).toEqual({ files: 60_000, size: 0 });
  });

  it('goes 2,000 folders deep, and refuses or deletes deeper folders', async () => {
    await python(`import os
os.mkdir("deep"); os.chdir("deep")
for depth in range(2_000):
    os.mkdir("d"); os.chdir("d")
open("bottom", "w").write("here")
os.chdir(os.path.expanduser("~"))`);
    const bottom = `deep/${'d/'.repeat(2_000)}bottom`;
    expect(await worker().read(bottom)).toBe('here');
    expect((await worker().files.list('deep', { depth: 32 })).entries).toHaveLength(32);
    const { body } = await worker().files.readArchive('deep', 'tar');
    expect((await buffer(body)).length).toBeGreaterThan(2_000 * 512);
    await python(`os.chdir("deep/" + "d/" * 2_000)
for depth in range(3_000):
    os.mkdir("d"); os.chdir("d")
os.chdir(os.path.expanduser("~"))`);
    const packed = worker()
      .files.readArchive('deep', 'tar')
      .then((archive) => buffer(archive.body));
    await expect(packed).rejects.toThrow();
    expect(await worker().files.remove('deep', { recursive: true })).toEqual({ files: 1, size: 4 });
  });

  it('leaves the old file whole when the disk is full', async () => {
    await worker().write('kept', 'old content');
    await python(`import os
try:
    with open("filler", "wb") as filler:
        while True:
            filler.write(bytes(1_048_576))
except OSError:
    pass`);
    const large = () => Readable.from([Buffer.alloc(4 * MIB)]);
    expect(await outcome((files) => files.write('kept', large()))).toBe('disk_full');
    expect(await outcome((files) => files.write('kept', large(), { append: true }))).toBe(
      'disk_full',
    );
    expect(await worker().read('kept')).toBe('old content');
    await worker().files.remove('filler');
    expect(await worker().parts()).toBe('[]');
    await worker().write('kept', 'new');
    expect(await worker().read('kept')).toBe('new');
  });

  it('needs no process, so it works when user code has taken all of them', async () => {
    await python(`import os, signal
children = []
try:
    for number in range(200):
        children.append(os.posix_spawn("/usr/bin/sleep", ["sleep", "60"], {}))
except OSError:
    pass`);
    await worker().write('at the limit', 'x');
    expect(await worker().read('at the limit')).toBe('x');
    const { body } = await worker().files.readArchive('.', 'tar');
    expect((await buffer(body)).length).toBeGreaterThan(0);
    await python(`for child in children:
    os.kill(child, signal.SIGKILL); os.waitpid(child, 0)`);
  });

  it('is refused when its helper is killed, and works again a moment later', async () => {
    await worker().write('kept', 'old');
    const never = new Readable({ read() {} });
    const upload = outcome((files) => files.write('kept', never)).catch(() => 'cut');
    never.push('half of it');
    while ((await worker().parts()) === '[]');
    expect((await worker().listAll('.')).filter(({ name }) => name.includes('part'))).toEqual([]);
    // Only root can kill the helper.
    await asRoot(worker().agent.containerId, ['sh', '-c', KILL_HELPER]);
    const seen = new Set<string>();
    do {
      seen.add(await outcome((files) => files.stat('.')));
    } while (!seen.has('ok'));
    expect(['ok,unavailable', 'ok', 'unavailable,ok']).toContain([...seen].join());
    // The unfinished file of the upload is gone, although the upload goes on.
    expect(await worker().parts()).toBe('[]');
    never.push(null);
    expect(await upload).toBe('unavailable');
    expect(await worker().read('kept')).toBe('old');
    await worker().write('after', 'x');
    expect(await worker().read('after')).toBe('x');
    expect(await outcome((files) => files.read('/etc/shadow'))).toBe('permission_denied');
    expect(await outcome((files) => files.read('/proc/1/environ'))).toBe('permission_denied');
    expect(await python('print(6 * 7)')).toBe('42\n');
  });

  it.skipIf(tier === 'runsc')('goes on while a kernel is killed for its memory', async () => {
    const greedy = worker().runner.run('data = []\nwhile True: data.append(bytearray(10_000_000))');
    const content = Buffer.alloc(8 * MIB, 'm');
    let isOver = false;
    const writing = (async () => {
      while (!isOver) await worker().write('meanwhile', content);
    })();
    expect((await greedy).outcome).toMatchObject({ errorName: 'OutOfMemory', stateLost: true });
    isOver = true;
    await writing;
    expect((await worker().read('meanwhile')) === content.toString()).toBe(true);
    expect(await python('print(6 * 7)')).toBe('42\n');
  });
});
