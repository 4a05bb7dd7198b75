import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NOTICES_FILE } from '../setup/notices.mjs';
import { projectRoot } from '../setup/projectRoot.mjs';
import { runCommand } from '../setup/runCommand.mjs';

/** What the built program reads at run time, what sets up an engine and the worker image, and what people read. */
const COMMITTED = [
  'CHANGELOG.md',
  'LICENSE',
  'README.md',
  'SECURITY.md',
  'docs',
  'examples',
  'migrations',
  'monitoring',
  'public',
  'schema.graphql',
  'scripts/setup',
  'scripts/setup-runsc.mjs',
  'scripts/setup.mjs',
  'worker-image',
  ':(exclude)migrations/meta/*_snapshot.json',
  ':(exclude,glob)scripts/**/*.d.mts',
  ':(exclude,glob)worker-image/**/tests/**',
];
/** The whole program is in these files. The other modules of `dist/` are for tests and for programs of this clone. */
const BUILT = ['cli.js', 'renderGraphiql.js', NOTICES_FILE];

/**
 * Makes the npm package of the current commit. It has the built program, and needs no compiler. npm sets the times and
 * owners of all files, so the same commit gives the same bytes with the same Node.
 * @param {string} folder where to put it
 */
export async function makePackage(folder) {
  const stage = mkdtempSync(join(tmpdir(), 'cellhouse-package-'));
  try {
    await exportCommit(stage, COMMITTED);
    mkdirSync(join(stage, 'dist'));
    for (const name of BUILT)
      copyFileSync(join(projectRoot, 'dist', name), join(stage, 'dist', name));
    const read = (name) => JSON.parse(readFileSync(join(projectRoot, name), 'utf8'));
    const manifest = packageManifest(read('package.json'), read('package-lock.json'));
    writeFileSync(join(stage, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
    await runCommand('npm', ['pack', '--ignore-scripts', `--pack-destination=${folder}`], {
      cwd: stage,
    });
  } finally {
    rmSync(stage, { recursive: true });
  }
}

/**
 * The manifest of the package: no scripts and no development. All other packages are inside the program, so only the
 * embedded PostgreSQL is installed, in the version that was tested.
 */
function packageManifest(manifest, { packages }) {
  const { name, version, description, license, type, engines, bin } = manifest;
  const tested = Object.keys(manifest.optionalDependencies).map((dependency) => [
    dependency,
    packages[`node_modules/${dependency}`].version,
  ]);
  return {
    ...{ name, version, description, license, type, engines, bin },
    // npm refuses to publish the package. It can be packed and installed.
    private: true,
    os: ['linux'],
    optionalDependencies: Object.fromEntries(tested),
  };
}

/**
 * Writes files of the current commit into a folder. What git ignores, such as caches, is not there.
 * @param {string} folder @param {readonly string[]} paths as git takes them. @default all files
 */
export async function exportCommit(folder, paths = []) {
  const archive = join(folder, '.commit.tar');
  await runCommand('git', ['archive', '--format=tar', `--output=${archive}`, 'HEAD', ...paths], {
    cwd: projectRoot,
  });
  await runCommand('tar', ['--extract', `--file=${archive}`, `--directory=${folder}`]);
  rmSync(archive);
}
