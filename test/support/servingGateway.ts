/**
 * A gateway composed as in the product, over a given database and runtime. A test decides whether its server listens.
 */
import { type Logger, pino } from 'pino';
import { loadConfig } from '../../src/config/config.ts';
import type { Database } from '../../src/events/database.ts';
import {
  composeAudit,
  composeEnvironments,
  composePool,
  composeServer,
  composeService,
} from '../../src/gateway.ts';
import type { Pool } from '../../src/pool/pool.ts';
import type { Images } from '../../src/runtime/images.ts';
import type { Runtime } from '../../src/runtime/runtime.ts';
import type { GatewayServer } from '../../src/server/createServer.ts';
import type { Service } from '../../src/service/service.ts';
import { createProgrammedImages } from './programmedImages.ts';

export interface ServingGatewayDeps {
  readonly database: Database;
  readonly runtime: Runtime;
  readonly socketDir: string;
  /** Left out: it builds no environments. */
  readonly images?: Images;
  /** Settings that differ from the defaults, under their names in the environment. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Silent if it is left out. */
  readonly logger?: Logger;
}

export interface ServingGateway {
  readonly service: Service;
  readonly server: GatewayServer;
  readonly pool: Pool;
  /** Closes everything except the database. */
  close(): Promise<void>;
}

export async function startServingGateway(deps: ServingGatewayDeps): Promise<ServingGateway> {
  const { database, runtime } = deps;
  const config = loadConfig({
    SOCKET_DIR: deps.socketDir,
    DATA_DIR: deps.socketDir,
    AUTH_TOKEN: 'a-token-for-tests',
    PORT: '0',
    ...deps.settings,
  });
  const { poolId } = await database.queries.poolIdentity('here');
  const logger = deps.logger ?? pino({ level: 'silent' });
  const parts = composePool({ config, database, runtime, poolId, logger });
  const images = deps.images ?? createProgrammedImages().images;
  const environments = composeEnvironments({ config, database, runtime, images, poolId, logger });
  const serviceParts = composeService(config, { database, ...parts, environments, logger });
  const server = composeServer({
    config,
    database,
    ...parts,
    ...serviceParts,
    auditKeeper: composeAudit(config, database, logger),
    processMetrics: async () => '',
    logger,
  });
  await serviceParts.load();
  await parts.pool.start(false);
  if (deps.images) environments.start();
  return {
    service: serviceParts.service,
    server,
    pool: parts.pool,
    close: async () => {
      await server.close(AbortSignal.abort());
      await environments.close();
      await serviceParts.close();
      await parts.pool.close(0);
      await parts.egress?.close();
    },
  };
}
