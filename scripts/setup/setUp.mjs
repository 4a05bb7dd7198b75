import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ensureBuild } from './build.mjs';
import { ensureDependencies } from './dependencies.mjs';
import { ensureEngine } from './engine.mjs';
import { whyNoEngine } from './engineApi.mjs';
import { projectRoot } from './projectRoot.mjs';
import { SetupError } from './setupError.mjs';
import { ensureWorkerImage, workerImageName } from './workerImage.mjs';

const MIN_NODE = [20, 19];

/**
 * Installs and builds everything that the gateway needs to start. Prints nothing if everything is there already.
 * @returns {Promise<{ workerImage: string }>}
 */
export async function setUp() {
  await setUpCode();
  return { workerImage: await ensureWorkers() };
}

/**
 * Like {@link setUp}, for a gateway, which can serve existing sessions without an engine. So if no engine can be
 * started, this fails only for an installation that has never served.
 * @param {string} [dataDir] an absolute path
 * @returns {Promise<{ workerImage: string }>}
 */
export async function setUpToServe(dataDir = resolve(process.env.DATA_DIR || '.cellhouse')) {
  await setUpCode();
  try {
    return { workerImage: await ensureWorkers() };
  } catch (e) {
    if (!(await isEngineAway()) || !mayHaveServed(dataDir)) throw e;
    console.log(`${e.message}\n\nStarting without it. Existing sessions are served.`);
    return { workerImage: process.env.WORKER_IMAGE || workerImageName() };
  }
}

/** An engine that this user may not access is not away. */
async function isEngineAway() {
  const why = await whyNoEngine();
  return why !== null && why !== 'EACCES';
}

/** A guess, because only the gateway can look into the database. */
function mayHaveServed(dataDir) {
  return Boolean(process.env.DATABASE_URL) || existsSync(join(dataDir, 'gateway-id'));
}

/** If WORKER_IMAGE is set, the operator provides the image. */
async function ensureWorkers() {
  await ensureEngine();
  return process.env.WORKER_IMAGE || (await ensureWorkerImage());
}

/**
 * The part of the set-up that does not need an engine; `npm stop` does only this part. Without `src/`, as in the
 * gateway's image or an installed package, the npm packages and `dist/` are there already.
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
