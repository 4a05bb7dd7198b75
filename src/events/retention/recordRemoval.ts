import { CLI_ACTOR } from '../../domain/events.ts';
import type { GatewayId, NewId, RemovalId } from '../../domain/ids.ts';
import { decideRemoval, type RemovalCommand } from '../../domain/removal.ts';
import { createRemovalDigest } from '../chain/leaf.ts';
import type { Sql } from '../connection/client.ts';
import { COMMIT_SQL, commitParameters } from '../store/commitParameters.ts';
import { prepareCommit } from '../store/preparedCommit.ts';
import { createQuotaCounts } from '../store/quotaCounts.ts';

/** The process that removes. */
export interface Remover {
  /** Stands for a gateway in the metadata of the event. */
  readonly gatewayId: GatewayId;
  readonly newId: NewId;
}

export type Removed = Omit<RemovalCommand, 'type' | 'at' | 'removalId' | 'events' | 'digest'> & {
  /** Positions of the deleted events, in any order. */
  readonly positions: readonly number[];
};

/**
 * Notes which events were deleted, deletes their salts, so that nobody can find what they were by guessing, and records
 * the removal. It must be the last statement of the transaction that has deleted them, because it takes the append lock.
 */
export async function recordRemoval(
  sql: Sql,
  { gatewayId, newId }: Remover,
  { positions, ...removed }: Removed,
): Promise<void> {
  const removalId = newId<RemovalId>();
  const ordered = [...positions].sort((one, other) => one - other);
  const digest = createRemovalDigest();
  for (const position of ordered) digest.add(position, null);
  await sql`
    INSERT INTO event_removals (position, removal_id)
    SELECT p, ${removalId} FROM unnest(${ordered}::bigint[]) p`;
  await sql`UPDATE event_links SET salt = NULL WHERE position = ANY (${ordered}::bigint[])`;
  const command: RemovalCommand = {
    type: 'RecordPruning',
    at: new Date().toISOString(),
    removalId,
    ...removed,
    events: ordered.length,
    digest: digest.end(),
  };
  const commit = prepareCommit(
    {
      streams: [
        { stream: 'removal', id: removalId, state: null, events: decideRemoval(command, null) },
      ],
      actor: CLI_ACTOR,
    },
    newId,
  );
  const parameters = commitParameters([commit], gatewayId, false, createQuotaCounts());
  await sql.unsafe(COMMIT_SQL, parameters as Parameters<typeof sql.unsafe>[1]);
}
