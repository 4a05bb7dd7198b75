import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ensureBuild } from './build.mjs';
import { ensureDependencies } from './dependencies.mjs';
import { ensureEngine } from './engine.mjs';
import { projectRoot } from './projectRoot.mjs';
import { SetupError } from './setupError.mjs';
import { ensureWorkerImage } from './workerImage.mjs';

const MIN_NODE = [20, 19];

/**
 * Everything that must be there before the gateway can start; says nothing when it all is.
 * @returns {Promise<{ workerImage: string }>}
 */
export async function setUp() {
  await setUpCode();
  return { workerImage: await ensureWorkers() };
}

/** WORKER_IMAGE names an image of the operator's own, which is then left to them. */
async function ensureWorkers() {
  await ensureEngine();
  return process.env.WORKER_IMAGE || (await ensureWorkerImage());
}

/**
 * What `npm stop` needs: no engine is installed in order to stop it. Whoever has no `src/` (the gateway's image, an
 * installed package) has the packages and `dist/` already.
 */
export async function setUpCode() {
  checkNode();
  if (!existsSync(join(projectRoot, 'src'))) return;
  await ensureDependencies();
  await ensureBuild();
}

function checkNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major > MIN_NODE[0] || (major === MIN_NODE[0] && minor >= MIN_NODE[1])) return;
  throw new SetupError(
    `Cellhouse needs Node ${MIN_NODE.join('.')} or newer; this is ${process.versions.node}.`,
  );
}
