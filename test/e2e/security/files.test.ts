/**
 * File operations in folders that hostile code has made, or changes at that moment. Such an operation may fail. It
 * never hangs, ends the agent, or gives a byte that the user could not have read.
 */
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { EXTENT } from '../../extent.ts';
import { type FilesOfAgent, useFilesOfAgent } from '../../support/workerFiles.ts';

/** Paths that no user of a worker may ever read. */
const FORBIDDEN = [
  '/etc/shadow',
  '/proc/1/environ',
  '/proc/self/environ',
  '/proc/self/mem',
  '/proc/self/fd/0',
  '/proc/thread-self/maps',
  '/dev/fd/0',
  '/dev/stdin',
  '/run/cellhouse/socket/agent.sock',
  '/sys/kernel/notes',
];

describe.each(EXTENT.runtimes)('under %s, a file operation', (tier) => {
  const worker = useFilesOfAgent(tier);
  const python = (code: string) => worker().python(code);
  const outcome: FilesOfAgent['outcome'] = (operation) => worker().outcome(operation);

  it('follows links with the rights of the user only', async () => {
    const paths = JSON.stringify(FORBIDDEN);
    await python(`import os
os.mkdir("links")
for number, path in enumerate(${paths}):
    os.symlink(path, f"links/{number}")
os.symlink("/run/cellhouse/socket", "links/socket")
os.symlink("loop", "links/loop")
os.symlink("/proc/1/root", "links/init")
os.symlink("/proc/1", "links/process")`);
    for (const [number, path] of FORBIDDEN.entries()) {
      for (const name of [path, `links/${number}`]) {
        const refused = await outcome((files) => files.read(name));
        expect([name, refused]).toEqual([
          name,
          expect.stringMatching(/^(permission_denied|too_many_links|not_found|not_a_file)$/),
        ]);
      }
    }
    const denied = expect.stringMatching(/^(permission_denied|too_many_links)$/);
    for (const path of ['links/socket', 'links/init', 'links/process', 'links/loop']) {
      expect(await outcome((files) => files.list(path))).toEqual(denied);
      expect(await outcome((files) => files.readArchive(path, 'tar'))).toEqual(denied);
      expect(await outcome(() => worker().write(`${path}/new`, 'x'))).toEqual(denied);
    }
    expect(await outcome(() => worker().write('links/loop', 'x'))).toBe('too_many_links');
    expect(await outcome(() => worker().write('links/0', 'x'))).toBe('permission_denied');
    await worker().files.remove('links', { recursive: true });
    expect(await outcome((files) => files.stat('/etc/shadow'))).toBe('ok');
  });

  it('writes nowhere where the user may not write', async () => {
    for (const path of ['/etc/new', '/usr/bin/python3', '/run/cellhouse/new', '/proc/sys/vm/new'])
      expect([path, await outcome(() => worker().write(path, 'x'))]).toEqual([
        path,
        expect.stringMatching(/^(permission_denied|not_found)$/),
      ]);
    expect(await outcome((files) => files.remove('/etc/passwd'))).toBe('permission_denied');
    expect(await outcome((files) => files.move('/etc/passwd', 'stolen'))).toMatch(
      /^(permission_denied|other_disk)$/,
    );
    expect(await outcome((files) => files.remove('/', { recursive: true }))).toBe(
      'permission_denied',
    );
    await python('assert open("/etc/passwd").read()');
  });

  it('reads its own bytes or nothing while links are exchanged in a loop', async () => {
    await python(`import os, subprocess, sys
os.mkdir("swapped"); os.mkdir("swapped/good")
open("swapped/good/file", "w").write("good")
os.symlink("/run/cellhouse", "swapped/a"); os.symlink("good", "swapped/b")
os.symlink("/etc/shadow", "swapped/c"); os.symlink("good/file", "swapped/d")
loop = """
import os, time
end = time.time() + 20
while time.time() < end:
    for one, other in (("a", "b"), ("c", "d")):
        for name in (one, other):
            os.symlink(os.readlink(name), "t"); os.rename("t", "now" + one)
"""
swapper = subprocess.Popen([sys.executable, "-c", loop], cwd="swapped")
while not os.path.lexists("swapped/nowc"):
    pass`);
    const seen = new Set<string>();
    for (let turn = 0; turn < 300; turn += 1) {
      for (const path of ['swapped/nowa/file', 'swapped/nowc'])
        seen.add(
          await worker()
            .read(path)
            .catch((error: { code?: string }) => error.code ?? 'none'),
        );
      const body = Readable.from([Buffer.from('x')]);
      seen.add(await outcome((files) => files.write('swapped/nowa/other', body)));
      seen.add(await outcome((files) => files.remove('swapped/nowa/other')));
    }
    await python('swapper.kill(); swapper.wait()');
    expect(seen).toContain('good');
    for (const what of seen)
      expect(['good', 'ok', 'permission_denied', 'not_found']).toContain(what);
    await worker().files.remove('swapped', { recursive: true });
  });

  it('waits for no FIFO, socket or device', async () => {
    await python(`import os, socket
os.mkdir("odd")
os.mkfifo("odd/fifo")
server = socket.socket(socket.AF_UNIX); server.bind("odd/socket"); server.listen()
os.symlink("/dev/zero", "odd/zero"); os.symlink("/dev/tty", "odd/terminal")`);
    for (const path of ['odd/fifo', 'odd/socket', 'odd/zero', '/dev/zero', '/dev/null']) {
      expect([path, await outcome((files) => files.read(path))]).toEqual([path, 'not_a_file']);
      expect([path, await outcome(() => worker().write(path, 'x'))]).toEqual([path, 'not_a_file']);
    }
    expect(await outcome((files) => files.read('odd/terminal'))).not.toBe('ok');
    const kinds = (await worker().listAll('odd')).map(({ kind }) => kind);
    expect(kinds).toEqual(['other', 'other', 'link', 'link']);
    const { body } = await worker().files.readArchive('odd', 'tar');
    expect((await buffer(body)).length).toBe(4 * 512);
    expect(await worker().files.remove('odd', { recursive: true })).toEqual({ files: 4, size: 0 });
  });

  it('takes any name, and refuses invalid paths', async () => {
    const names = [
      'a\nb',
      '"\'`$(x)',
      '\u0001\u001b[31m',
      '..%2f..%2fetc',
      '%00',
      '-rf',
      '\\',
      'ä€😀',
    ];
    for (const name of names) {
      await worker().write(`names/${name}`, name);
      expect(await worker().read(`names/${name}`)).toBe(name);
    }
    await python(`open(b"names/\\xff\\xfe-\\xc3", "w").write("bytes")`);
    const entries = await worker().listAll('names', 2);
    expect(entries.map(({ name }) => name)).toEqual(
      expect.arrayContaining([...names, '\\xff\\xfe-\\xc3']),
    );
    expect(entries).toHaveLength(names.length + 1);
    for (const { pathBytes, name } of entries) {
      expect((await worker().read(pathBytes)).length).toBeGreaterThan(0);
      expect([name, await worker().files.remove(pathBytes)]).toMatchObject([name, { files: 1 }]);
    }
    await worker().files.remove('names');
    for (const path of ['../etc/passwd', 'a/../../x', 'x'.repeat(256), 'a\0b', 'a/'.repeat(2_048)])
      expect(await outcome((files) => files.stat(path))).toBe('bad_path');
  });

  it('refuses archives that would reach out of their folder, or never end', async () => {
    await python(`import io, os, tarfile
def pack(name, *members, cut=None):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for path, kind, size in members:
            info = tarfile.TarInfo(path)
            info.type, info.size, info.linkname = kind, size, "/etc/shadow"
            archive.addfile(info, io.BytesIO(bytes(size)) if size else None)
    open(f"archives/{name}", "wb").write(stream.getvalue()[:cut])
os.mkdir("archives")
pack("parent", ("../out", tarfile.REGTYPE, 1))
pack("middle", ("a/../../out", tarfile.REGTYPE, 1))
pack("absolute", ("/tmp/out", tarfile.REGTYPE, 1))
pack("symlink", ("link", tarfile.SYMTYPE, 0), ("link/out", tarfile.REGTYPE, 1))
pack("hardlink", ("link", tarfile.LNKTYPE, 0))
pack("device", ("null", tarfile.CHRTYPE, 0))
pack("fifo", ("fifo", tarfile.FIFOTYPE, 0))
pack("longname", ("a/" * 3_000 + "x", tarfile.REGTYPE, 1))
pack("name", ("x" * 300, tarfile.REGTYPE, 1))
pack("cut", ("whole", tarfile.REGTYPE, 1), ("half", tarfile.REGTYPE, 5_000), cut=3_000)
pack("endless", ("whole", tarfile.REGTYPE, 1), cut=1_024)
pack("folder", ("taken/x", tarfile.REGTYPE, 1))
huge = tarfile.TarInfo("huge"); huge.size = 2**40
open("archives/huge", "wb").write(huge.tobuf() + bytes(4_096))
extra = tarfile.TarInfo("extra"); extra.type = tarfile.XHDTYPE; extra.size = 2**30
open("archives/extra", "wb").write(extra.tobuf() + bytes(4_096))
open("archives/noise", "wb").write(os.urandom(4_096))
open("archives/empty", "wb").close()
one = tarfile.TarInfo("folder"); one.type = tarfile.DIRTYPE
with open("archives/million", "wb") as file:
    for _ in range(100):
        file.write(one.tobuf() * 1_001)
os.mkdir("target"); os.symlink("/tmp", "target/taken")`);
    const names = (await worker().listAll('archives')).map(({ name }) => name);
    expect(names).toHaveLength(17);
    for (const name of names) {
      const { body, length } = await worker().files.read(`archives/${name}`);
      const refused = await outcome((files) => files.writeArchive('target', body, { length }));
      const codes = { million: 'too_large', folder: 'too_many_links' } as Record<string, string>;
      expect([name, refused]).toEqual([
        name,
        name in codes ? expect.stringMatching(/too_|not_a_directory/) : 'bad_archive',
      ]);
    }
    expect(await python('print(sorted(os.listdir("target")), os.path.exists("out"))')).toBe(
      "['folder', 'taken', 'whole'] False\n",
    );
    expect(await python('print(os.path.exists("/tmp/out"), os.path.exists("/tmp/x"))')).toBe(
      'False False\n',
    );
  });
});
