/** A gateway but for its server: pool and service as the product composes them, over a given database and runtime. */
import { pino } from 'pino';
import { loadConfig } from '../../src/config/config.ts';
import type { Database } from '../../src/events/database.ts';
import { composePool, composeService } from '../../src/gateway.ts';
import type { Runtime } from '../../src/runtime/runtime.ts';
import type { Service } from '../../src/service/service.ts';

export interface ServingGatewayDeps {
  readonly database: Database;
  readonly runtime: Runtime;
  readonly socketDir: string;
  /** Beyond the defaults, as the environment names them. */
  readonly settings?: Readonly<Record<string, string>>;
}

export interface ServingGateway {
  readonly service: Service;
  /** Lets go of everything but the database. */
  close(): Promise<void>;
}

export async function startServingGateway(deps: ServingGatewayDeps): Promise<ServingGateway> {
  const { database, runtime } = deps;
  const config = loadConfig({
    SOCKET_DIR: deps.socketDir,
    DATA_DIR: deps.socketDir,
    ...deps.settings,
  });
  const { poolId } = await database.queries.poolIdentity((await runtime.engine()).id);
  const logger = pino({ level: 'silent' });
  const parts = composePool({ config, database, runtime, poolId, logger });
  const { service, load } = composeService(config, { database, ...parts });
  await load();
  await parts.pool.start();
  return { service, close: () => parts.pool.close(0) };
}
