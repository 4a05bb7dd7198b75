import type { Logger } from 'pino';
import type { Config } from '../config/config.ts';
import type { EndStatus } from '../domain/execution.ts';
import type { MessageCounts } from '../domain/messageCounts.ts';
import type { Service } from '../service/service.ts';
import type { Readiness } from './http/health.ts';

/** What the server serves, and what it tells of the gateway. */
export interface ServerDeps {
  readonly config: Config;
  readonly service: Service;
  readonly token: string;
  readonly readiness: () => Promise<Readiness>;
  /** How executions ended since the start, for /metrics. */
  readonly endedExecutions: () => ReadonlyMap<EndStatus, number>;
  readonly messageCounts: () => Readonly<MessageCounts>;
  /** How many subscriptions follow output here. */
  readonly outputFollowers: () => number;
  readonly logger: Logger;
}
