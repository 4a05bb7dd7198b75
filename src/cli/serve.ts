import { loadServeConfig } from '../config/config.ts';
import { startGateway } from '../gateway.ts';
import {
  createProcessMetrics,
  limitHeapGrowth,
  onStopSignals,
  optimizeEarly,
} from '../process/servingProcess.ts';

/**
 * `cellhouse serve`: starts a gateway and returns while it serves. The gateway stops at a stop signal, or when it can
 * no longer work with its database ({@link Gateway.databaseUnusable}).
 */
export async function serve(): Promise<void> {
  limitHeapGrowth();
  optimizeEarly();
  const config = loadServeConfig(process.env);
  const gateway = await startGateway(config, createProcessMetrics());
  console.log(`Cellhouse serves ${gateway.address}/graphql`);
  if (gateway.tokenFile) console.log(`The token is in ${gateway.tokenFile}`);
  const stop = onStopSignals(() => gateway.close());
  void gateway.databaseUnusable.then(stop);
}
