/** What user code may reach outside its worker: the proxy, and what is recorded of it. */
import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import { repeat } from '../async/repeat.ts';
import { within } from '../async/within.ts';
import type { Config } from '../config/config.ts';
import type { EgressTotals } from '../domain/egress/egressCount.ts';
import type { Queries } from '../events/queries/createQueries.ts';
import { createDial, type EgressSession } from './createDial.ts';
import { createLookup } from './createLookup.ts';
import { createEgressLog } from './egressLog.ts';
import { createProxy } from './proxy/createProxy.ts';
import { createTraffic } from './traffic.ts';

/** How often counts are stored, and idle connections looked for. */
const INTERVAL_MS = 1_000;
/** How long a gateway that stops waits for the database. What is left then is not recorded. */
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
  readonly queries: Pick<Queries, 'recordEgress'>;
  readonly logger: Logger;
  readonly now: () => Date;
  /** A clock that is never set, in milliseconds. */
  readonly clock: () => number;
}

export interface Egress {
  readonly totals: EgressTotals;
  /** How many connections the code of one worker may have. */
  readonly maxConnections: number;
  /** Serves a connection of the session's code. */
  serve(session: EgressSession, stream: Duplex): void;
  /** Records what is left. Connections end with their workers' streams, before. Idempotent. */
  close(): Promise<void>;
}

/** Null: EGRESS_ALLOW lists nothing, so there is no way out. */
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
  const onError = (err: unknown) => logger.error({ err }, 'could not serve a connection of code');
  const { egressConnectTimeoutMs: headTimeoutMs } = config;
  const proxy = createProxy({ headTimeoutMs, dial, traffic, onError });
  const closing = new AbortController();

  async function record(): Promise<void> {
    traffic.look();
    await log.record().catch((err: unknown) => {
      logger.warn({ err }, 'could not record what code has reached');
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
