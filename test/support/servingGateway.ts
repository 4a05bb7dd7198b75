/** A gateway but for its server: pool and service as `src/main.ts` wires them, over a given database and runtime. */
import { pino } from 'pino';
import { loadConfig } from '../../src/config.ts';
import type { Database } from '../../src/events/database.ts';
import { newId } from '../../src/ids.ts';
import { createMessageCounts } from '../../src/kernel/messageCounts.ts';
import { createFinishWaiters } from '../../src/pool/finishWaiters.ts';
import { createInterpreterService } from '../../src/pool/interpreterService.ts';
import { createOpenSessions } from '../../src/pool/openSessions.ts';
import { createPool } from '../../src/pool/pool.ts';
import type { Runtime } from '../../src/pool/runtime.ts';
import type { InterpreterService } from '../../src/pool/service.ts';
import { createSharedOutput } from '../../src/pool/sharedOutput.ts';

export interface ServingGatewayDeps {
  readonly database: Database;
  readonly runtime: Runtime;
  readonly socketDir: string;
  /** Beyond the defaults, as the environment names them. */
  readonly settings?: Readonly<Record<string, string>>;
}

export interface ServingGateway {
  readonly service: InterpreterService;
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
  const now = () => new Date();
  const sharedOutput = createSharedOutput();
  const pool = createPool({
    config,
    database,
    runtime,
    poolId,
    workerImage: 'none',
    logger: pino({ level: 'silent' }),
    messageCounts: createMessageCounts(),
    sharedOutput,
    newId,
    now,
    random: Math.random,
  });
  const sessions = createOpenSessions(database.queries);
  const finishWaiters = createFinishWaiters(database.queries);
  database.wakeUps.onEvent((recorded) => {
    sessions.apply(recorded);
    finishWaiters.apply(recorded);
  });
  const service = createInterpreterService({
    config,
    database,
    pool,
    sessions,
    finishWaiters,
    sharedOutput,
    newId,
    now,
  });
  await sessions.load();
  await pool.start();
  return { service, close: () => pool.close(0) };
}
