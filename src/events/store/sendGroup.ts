import type { Logger } from 'pino';
import type { Client } from '../connection/client.ts';
import { pauseBetween } from '../connection/pauseBetween.ts';
import { COMMIT_SQL, type CommitResult, commitParameters } from './commitParameters.ts';
import { isRefusal, isTransient } from './databaseErrors.ts';
import { DatabaseAwayError } from './eventStore.ts';
import type { PreparedCommit } from './preparedCommit.ts';
import type { QuotaCounts } from './quotaCounts.ts';
import { committedOf, whoStands } from './standing.ts';

/** How long a commit waits for a database that is away. A group fails when its oldest commit has waited this long. */
const COMMIT_RETRY_LIMIT_MS = 30_000;
/** The same while closing. If a commit fails then, the agent sends its output again, to the next gateway. */
const CLOSING_RETRY_LIMIT_MS = 2_000;

export interface SendGroupDeps {
  readonly client: Client;
  readonly gatewayId: string;
  readonly quotaCounts: QuotaCounts;
  readonly logger: Logger;
  /** Aborted when the store is closing. */
  readonly closing: AbortSignal;
}

/** The part of a group that the database has. */
export interface SentGroup {
  /** Null: no commit of the group was sent. */
  readonly result: CommitResult | null;
  /** All commits of the group except those whose askers are no longer let in. */
  readonly committed: readonly PreparedCommit[];
}

/**
 * Sends a group until the database has answered, for at most COMMIT_RETRY_LIMIT_MS. After a lost connection the outcome
 * is unknown. So the same group is sent again, marked as repeated: the database then looks for its event ids and does
 * nothing twice. Before each attempt, commits whose askers are no longer let in are left out of the group.
 * @throws the server's refusal unchanged, or DatabaseAwayError when the database stays away: the group may have been
 * written or not
 */
export async function sendGroup(
  group: readonly PreparedCommit[],
  { client, gatewayId, quotaCounts, logger, closing }: SendGroupDeps,
): Promise<SentGroup> {
  const askedAt = Math.min(...group.map((prepared) => prepared.askedAt));
  let isRepeated = false;
  let wasRefusedOnRepeat = false;
  /** Whether every attempt so far has sent the whole group. */
  let wasWhole = true;
  for (let attempt = 0; ; attempt += 1) {
    const standing = await whoStands(group);
    if (standing.length === 0) return { result: null, committed: [] };
    wasWhole &&= standing.length === group.length;
    try {
      const parameters = commitParameters(standing, gatewayId, isRepeated, quotaCounts);
      const result = await send(client, parameters);
      // The database has found an earlier attempt, perhaps with other members of the group.
      if (result.quotas !== undefined || wasWhole) return { result, committed: standing };
      const { committed, firstPosition } = await committedOf(
        client,
        group,
        result.firstPosition ?? 0,
      );
      return { result: { ...result, firstPosition }, committed };
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
        // The repeat may have been refused because the first attempt was just committing. So look for its events once
        // more.
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
 * Drops the references to what was sent. V8's minor collections do not free what a finished query of postgres.js still
 * refers to (measured: 85 % of it survived), so a flood caused a full collection for each 10 MB.
 * Checked against postgres 3.4.9.
 */
function letGo(query: object, parameters: unknown[]): void {
  parameters.length = 0;
  Object.assign(query, { parameters: [] });
}
