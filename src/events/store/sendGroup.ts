import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { messageOf } from '../../errors.ts';
import type { Client } from '../client.ts';
import { COMMIT_SQL, type CommitRow, commitParameters } from './commitParameters.ts';
import { isRefusal, isTransient } from './databaseErrors.ts';
import type { PreparedCommit } from './preparedCommit.ts';

/** How long a commit waits for a database that is away; whoever waits for it hears of it within about this. */
const COMMIT_RETRY_LIMIT_MS = 30_000;
/** While closing: what cannot be written by then is left to the successor, which has it from the agent again. */
const CLOSING_RETRY_LIMIT_MS = 2_000;
const FIRST_RETRY_DELAY_MS = 20;
const MAX_RETRY_DELAY_MS = 1_000;

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
 * @throws the server's refusal as it is, or Error when the database stays away (then it may or may not have been done)
 */
export async function sendGroup(
  group: readonly PreparedCommit[],
  { client, gatewayId, logger, closing }: SendGroupDeps,
): Promise<CommitRow> {
  const startedAt = performance.now();
  let isRepeated = false;
  let wasRefusedOnRepeat = false;
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await send(client, commitParameters(group, gatewayId, isRepeated));
    } catch (error: unknown) {
      if (isTransient(error)) {
        isRepeated ||= !isRefusal(error);
        const waitedMs = performance.now() - startedAt;
        if (waitedMs > (closing.aborted ? CLOSING_RETRY_LIMIT_MS : COMMIT_RETRY_LIMIT_MS)) {
          throw new Error(
            `The database is away (for ${Math.round(waitedMs)} ms): ${messageOf(error)}`,
            { cause: error },
          );
        }
        logger.warn({ err: error, attempt }, 'The database did not take a commit; trying again');
        await pause(attempt, closing);
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
): Promise<CommitRow> {
  const query = client.sql.unsafe<CommitRow[]>(
    COMMIT_SQL,
    // Its types know no arrays of objects; `json` parameters take them.
    parameters as Parameters<typeof client.sql.unsafe>[1],
    { prepare: true },
  );
  const [row] = await client.answered(query);
  if (!row) throw new Error('cellhouse_commit gave no row.');
  return row;
}

/** Doubles up to a limit, with jitter so that gateways do not come back in step. Ends early when the store closes. */
async function pause(attempt: number, closing: AbortSignal): Promise<void> {
  const full = Math.min(FIRST_RETRY_DELAY_MS * 2 ** attempt, MAX_RETRY_DELAY_MS);
  const waitMs = full * (0.5 + Math.random() / 2);
  if (closing.aborted) {
    await delay(waitMs);
    return;
  }
  await delay(waitMs, undefined, { signal: closing }).catch(() => undefined);
}
