import { pino } from 'pino';
import { loadConfig } from '../config/config.ts';
import { rebuildProjections } from '../events/projections/rebuildProjections.ts';
import { databaseAddress } from '../gateway.ts';

/** `cellhouse rebuild`: rebuilds the projections from the events. */
export async function rebuild(): Promise<void> {
  const config = loadConfig(process.env);
  const address = await databaseAddress(config, pino({ level: config.logLevel }));
  const startedAt = performance.now();
  const rebuilt = await rebuildProjections(address);
  const seconds = (performance.now() - startedAt) / 1_000;
  console.log(`Rebuilt in ${seconds.toFixed(1)} s: ${JSON.stringify(rebuilt)}`);
}
