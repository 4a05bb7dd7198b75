/** Connects user code to hosts outside its worker, by a proxy, and records the connections. */
import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import { repeat } from '../async/repeat.ts';
import { within } from '../async/within.ts';
import type { Config } from '../config/config.ts';
import type { EgressTotals } from '../domain/egress.ts';
import { createDial, type EgressSession } from './createDial.ts';
import { createLookup } from './createLookup.ts';
import { createEgressLog, type EgressLogDeps } from './egressLog.ts';
import { createProxy } from './proxy/createProxy.ts';
import { createTraffic } from './traffic.ts';

/** How often counts are stored, and idle connections are ended. */
const INTERVAL_MS = 1_000;
/** How long a stopping gateway waits for the database. Counts that are not stored by then are lost. */
const CLOSE_LIMIT_MS = 2_000;

export interface EgressDeps {
  readonly config: Pick<
    Config,
    | 'egressAllow'
    | 'tenantEgressAllow'
    | 'egressDns'
    | 'egressMaxConnections'
    | 'egressMaxTotalConnections'
    | 'egressMaxTenantConnections'
    | 'egressConnectTimeoutMs'
    | 'egressIdleTimeoutMs'
  >;
  readonly queries: EgressLogDeps['queries'];
  readonly logger: Logger;
  readonly now: () => Date;
  /** A monotonic clock, in milliseconds. */
  readonly clock: () => number;
}

export interface Egress {
  readonly totals: EgressTotals;
  /** How many connections the code of one worker may have. */
  readonly maxConnections: number;
  /** Serves a connection of the session's code. */
  serve(session: EgressSession, stream: Duplex): void;
  /** Stores the remaining counts. The workers' streams, and so all connections, must have ended before. Idempotent. */
  close(): Promise<void>;
}

/** Null: EGRESS_ALLOW is empty, so code may reach nothing. */
export function createEgress(deps: EgressDeps): Egress | null {
  const { config, logger } = deps;
  if (config.egressAllow.length === 0) return null;
  const log = createEgressLog(deps);
  const traffic = createTraffic({
    log,
    idleTimeoutMs: config.egressIdleTimeoutMs,
    clock: deps.clock,
  });
  const dial = createDial({ config, lookup: createLookup(config.egressDns), traffic });
  const onError = (err: unknown) => logger.error({ err }, 'could not serve an egress connection');
  const { egressConnectTimeoutMs: headTimeoutMs } = config;
  const proxy = createProxy({ headTimeoutMs, dial, traffic, onError });
  const closing = new AbortController();

  async function record(): Promise<void> {
    traffic.look();
    await log.record().catch((err: unknown) => {
      logger.warn({ err }, 'could not store the counts of egress connections');
    });
  }

  const running = repeat(INTERVAL_MS, closing.signal, record);
  return {
    get totals() {
      return traffic.totals;
    },
    maxConnections: config.egressMaxConnections,
    serve: proxy.serve,
    close: async () => {
      closing.abort();
      await within(CLOSE_LIMIT_MS, running.then(record), () => undefined);
    },
  };
}
