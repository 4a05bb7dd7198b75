import type { InOrder } from '../async/inOrder.ts';
import type { Config } from '../config/config.ts';
import type { NewId } from '../domain/ids.ts';
import type { Environments } from '../environments/environments.ts';
import type { Database } from '../events/database.ts';
import type { Pool } from '../pool/pool.ts';
import type { Refusals } from './access/refusals.ts';
import type { SessionKeys } from './access/sessionKeys.ts';
import type { TokenEnd } from './access/tokenEnd.ts';
import type { FinishWaiters } from './execute/finishWaiters.ts';
import type { RequestHashes } from './execute/requestHash.ts';
import type { FileTransfers } from './files/fileTransfers.ts';
import type { OpenSessions } from './openSessions.ts';
import type { ContextReaders } from './output/contextReaders.ts';
import type { SharedOutput } from './output/sharedOutput.ts';
import type { Quotas } from './quotas/quotas.ts';
import type { SessionUses } from './sessions/sessionUses.ts';

/** The dependencies of operations. Each operation names those that it needs. */
export interface ServiceDeps {
  readonly config: Config;
  readonly database: Database;
  readonly pool: Pool;
  readonly environments: Pick<Environments, 'baseImageId' | 'hashOf'>;
  readonly sessions: OpenSessions;
  readonly sessionUses: SessionUses;
  readonly finishWaiters: FinishWaiters;
  readonly requestHashes: RequestHashes;
  readonly sessionKeys: Pick<SessionKeys, 'keyTo'>;
  readonly refusals: Pick<Refusals, 'add'>;
  readonly quotas: Quotas;
  readonly sharedOutput: SharedOutput;
  readonly contextReaders: ContextReaders;
  readonly fileTransfers: FileTransfers;
  /** `requireSealed` of history.ts. Calls that wait at the same time share one run. */
  readonly requireSealed: () => Promise<void>;
  /** Queues the calls that send input: one queue for each execution and tenant. */
  readonly inputCalls: InOrder;
  readonly newId: NewId;
  /** Makes the secret of a token. */
  readonly newSecret: () => string;
  readonly now: () => Date;
  /** Aborted when the gateway stops and no longer waits for unfinished calls. */
  readonly stopping: AbortSignal;
  /** The end of the caller's token. */
  readonly tokenEnd: TokenEnd;
}
