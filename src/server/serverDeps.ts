import type { Logger } from 'pino';
import type { Config } from '../config/config.ts';
import type { OpenDoor } from '../doors/openDoor.ts';
import type { Refusals } from '../service/access/refusals.ts';
import type { SessionKeys } from '../service/access/sessionKeys.ts';
import type { TokenCache } from '../service/access/tokenCache.ts';
import type { Service } from '../service/service.ts';
import type { Readiness } from './http/health.ts';
import type { MetricsDeps } from './http/metrics.ts';

/** What the server needs to serve requests and to report on the gateway. */
export interface ServerDeps
  extends Pick<
    MetricsDeps,
    | 'version'
    | 'onExecutionEnded'
    | 'messageCounts'
    | 'processMetrics'
    | 'auditStatus'
    | 'egressTotals'
  > {
  readonly config: Config;
  readonly service: Service;
  /** The doors that DOORS opens. */
  readonly doors: readonly OpenDoor[];
  /** AUTH_TOKEN. */
  readonly token: string;
  readonly refusals: Refusals;
  readonly tokenCache: Pick<TokenCache, 'isFresh' | 'holderOf' | 'read'>;
  readonly sessionKeys: Pick<SessionKeys, 'holderOf' | 'signerOf'>;
  readonly readiness: () => Promise<Readiness>;
  /** How many subscriptions follow output here. */
  readonly outputFollowers: () => number;
  readonly logger: Logger;
}
