import type { Logger } from 'pino';
import type { Client } from '../connection/client.ts';
import { pauseBetween } from '../connection/pauseBetween.ts';
import { COMMIT_SQL, type CommitResult, commitParameters } from './commitParameters.ts';
import { isRefusal, isTransient } from './databaseErrors.ts';
import { DatabaseAwayError } from './eventStore.ts';
import type { PreparedCommit } from './preparedCommit.ts';

/** How long a commit waits for a database that is away, at most: those that share a group hear with the one that waits longest. */
const COMMIT_RETRY_LIMIT_MS = 30_000;
/** While closing: what cannot be written by then is left to the successor, which has it from the agent again. */
const CLOSING_RETRY_LIMIT_MS = 2_000;

export interface SendGroupDeps {
  readonly client: Client;
  readonly gatewayId: string;
  readonly logger: Logger;
  /** Aborted when the store is closing. */
  readonly closing: AbortSignal;
}

/**
 * Sends a group until the database has answered, at most for a named time. After a lost connection the outcome is unknown:
 * the very same group goes again, marked as repeated, so that what was done is found by its event ids and not done twice.
 * @throws the server's refusal as it is, DatabaseAwayError when it stays away (then it may or may not have been done)
 */
export async function sendGroup(
  group: readonly PreparedCommit[],
  { client, gatewayId, logger, closing }: SendGroupDeps,
): Promise<CommitResult> {
  const askedAt = Math.min(...group.map((prepared) => prepared.askedAt));
  let isRepeated = false;
  let wasRefusedOnRepeat = false;
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await send(client, commitParameters(group, gatewayId, isRepeated));
    } catch (error: unknown) {
      if (isTransient(error)) {
        isRepeated ||= !isRefusal(error);
        const waitedMs = Math.round(performance.now() - askedAt);
        if (waitedMs > (closing.aborted ? CLOSING_RETRY_LIMIT_MS : COMMIT_RETRY_LIMIT_MS)) {
          throw new DatabaseAwayError(waitedMs, { cause: error });
        }
        logger.warn({ err: error, attempt }, 'The database did not take a commit; trying again');
        await pauseBetween(attempt, closing);
      } else if (isRepeated && !wasRefusedOnRepeat) {
        // The first sending may have been under way still, and have ended just now: look once more for its events.
        wasRefusedOnRepeat = true;
      } else {
        throw error;
      }
    }
  }
}

async function send(
  client: Client,
  parameters: ReturnType<typeof commitParameters>,
): Promise<CommitResult> {
  const query = client.sql.unsafe<{ committed: CommitResult }[]>(
    COMMIT_SQL,
    parameters as Parameters<typeof client.sql.unsafe>[1],
    { prepare: true },
  );
  const [row] = await client.answered(query);
  letGo(query, parameters);
  if (!row) throw new Error('cellhouse_commit gave no row.');
  return row.committed;
}

/**
 * Frees what was sent. V8's quick collections do not free what belongs to a query of postgres.js that is over (seen: 85 % of it lived
 * on): a flood made a full collection for each 10 MB.
 */
function letGo(query: object, parameters: unknown[]): void {
  parameters.length = 0;
  Object.assign(query, { parameters: [] });
}
