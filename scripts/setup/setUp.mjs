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
 * Installs and builds everything that the gateway needs to start. Prints nothing if all is there already.
 * @returns {Promise<{ workerImage: string }>}
 */
export async function setUp() {
  await setUpCode();
  return { workerImage: await ensureWorkers() };
}

/** If WORKER_IMAGE is set, the operator provides that image, and nothing is built. */
async function ensureWorkers() {
  await ensureEngine();
  return process.env.WORKER_IMAGE || (await ensureWorkerImage());
}

/**
 * Does the part that `npm stop` needs too, which does not install an engine. Without `src/`, as in the gateway's image
 * or an installed package, the npm packages and `dist/` are there already.
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
