import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { bundle } from './bundle.mjs';
import { filesBelow, hashFiles } from './hashFiles.mjs';
import { projectRoot } from './projectRoot.mjs';
import { runCommand } from './runCommand.mjs';
import { step } from './steps.mjs';

const INPUTS = [
  'src',
  'tsconfig.json',
  'tsconfig.build.json',
  'package.json',
  'package-lock.json',
  'scripts/setup/absent.cjs',
  'scripts/setup/bundle.mjs',
  'scripts/setup/licences',
  'scripts/setup/notices.mjs',
];
const RECORD = '.inputs-sha256';

/** Compiles `src/` to `dist/`, unless `dist/` was made from exactly these files. Node 20 cannot run TypeScript. */
export async function ensureBuild() {
  const inputs = hashFiles(projectRoot, INPUTS);
  const record = join(projectRoot, 'dist', RECORD);
  if (existsSync(record) && readFileSync(record, 'utf8') === inputs) return;
  await step('Compiling TypeScript', () => build(inputs));
}

/** Replaces `dist/` as a whole, so an interrupted build leaves the old `dist/` or none. */
async function build(inputs) {
  const dist = join(projectRoot, 'dist');
  for (const path of abandonedBuilds()) rmSync(path, { recursive: true, force: true });
  const unfinished = `${dist}.new-${process.pid}`;
  try {
    await runCommand(
      process.execPath,
      ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json', '--outDir', unfinished],
      { cwd: projectRoot },
    );
    copyOtherFiles(join(projectRoot, 'src'), unfinished);
    await bundle(unfinished);
    writeFileSync(join(unfinished, RECORD), inputs);
    rmSync(dist, { recursive: true, force: true });
    renameSync(unfinished, dist);
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
}

function abandonedBuilds() {
  return readdirSync(projectRoot)
    .filter((name) => {
      const pid = /^dist\.new-(\d+)$/.exec(name)?.[1];
      return pid !== undefined && !existsSync(`/proc/${pid}`);
    })
    .map((name) => join(projectRoot, name));
}

/** Copies the files that the code reads at run time (pages, SQL). */
function copyOtherFiles(from, to) {
  for (const file of filesBelow(from)) {
    if (file.endsWith('.ts') || file.endsWith('.md')) continue;
    const target = join(to, relative(from, file));
    mkdirSync(dirname(target), { recursive: true });
    copyFileSync(file, target);
  }
}
