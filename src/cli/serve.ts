import { loadConfig, loadServeConfig } from '../config/config.ts';
import { startGateway } from '../gateway.ts';
import {
  createProcessMetrics,
  limitHeapGrowth,
  onStopSignals,
  optimizeEarly,
} from '../process/servingProcess.ts';

/** The set-up is no part of the built program, because it also runs before there is one. */
const SET_UP = new URL('../../scripts/setup/setUp.mjs', import.meta.url).href;

interface SetUp {
  setUpToServe(dataDir: string): Promise<{ workerImage: string }>;
}

/** `cellhouse start`: installs or builds the engine and the worker image, unless they are there, then serves. */
export async function start(): Promise<void> {
  const { dataDir } = loadConfig(process.env);
  const { setUpToServe }: SetUp = await import(SET_UP);
  const { workerImage } = await setUpToServe(dataDir);
  await serve({ ...process.env, WORKER_IMAGE: workerImage });
}

/**
 * `cellhouse serve`: starts a gateway and returns while it serves. The gateway stops at a stop signal, or when it can
 * no longer work with its database ({@link Gateway.databaseUnusable}).
 */
export async function serve(env = process.env): Promise<void> {
  limitHeapGrowth();
  optimizeEarly();
  const config = loadServeConfig(env);
  const gateway = await startGateway(config, createProcessMetrics());
  console.log(`Cellhouse serves ${gateway.address}/graphql`);
  if (gateway.tokenFile) console.log(`The token is in ${gateway.tokenFile}`);
  const stop = onStopSignals(() => gateway.close());
  void gateway.databaseUnusable.then(stop);
}
