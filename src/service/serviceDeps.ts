import type { Config } from '../config/config.ts';
import type { NewId } from '../domain/ids.ts';
import type { Database } from '../events/database.ts';
import type { Pool } from '../pool/pool.ts';
import type { FinishWaiters } from './execute/finishWaiters.ts';
import type { OpenSessions } from './openSessions.ts';
import type { SharedOutput } from './output/sharedOutput.ts';

/** What operations work with; each names those that it needs. */
export interface ServiceDeps {
  readonly config: Config;
  readonly database: Database;
  readonly pool: Pool;
  readonly sessions: OpenSessions;
  readonly finishWaiters: FinishWaiters;
  readonly sharedOutput: SharedOutput;
  readonly newId: NewId;
  readonly now: () => Date;
  /** Aborted when the gateway stops and will not wait for unfinished calls any longer. */
  readonly stopping: AbortSignal;
}
