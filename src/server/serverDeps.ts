import type { Logger } from 'pino';
import type { Config } from '../config/config.ts';
import type { EndStatus } from '../domain/execution.ts';
import type { MessageCounts } from '../domain/messageCounts.ts';
import type { Service } from '../service/service.ts';
import type { QueryLimits } from './graphql/queryLimits.ts';
import type { Readiness } from './http/health.ts';

/** What the server needs: the service, and facts about the gateway that it reports. */
export interface ServerDeps {
  readonly config: Pick<
    Config,
    'host' | 'port' | 'maxBodyBytes' | 'corsOrigins' | 'slowReaderTimeoutMs'
  > &
    QueryLimits;
  readonly service: Service;
  readonly token: string;
  readonly readiness: () => Promise<Readiness>;
  /** How many executions have ended with each status since the start, for /metrics. */
  readonly endedExecutions: () => ReadonlyMap<EndStatus, number>;
  readonly messageCounts: () => Readonly<MessageCounts>;
  /** The number of subscriptions that follow output on this gateway. */
  readonly outputFollowers: () => number;
  readonly logger: Logger;
}
