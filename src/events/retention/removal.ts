import { CLI_ACTOR } from '../../domain/events.ts';
import type { GatewayId, NewId, RemovalId } from '../../domain/ids.ts';
import { decideRemoval, type RemovalCommand } from '../../domain/removal.ts';
import { sealAll } from '../chain/auditKeeper.ts';
import { createRemovalDigest } from '../chain/verifyChain.ts';
import type { OneConnection, Sql } from '../connection/client.ts';
import { createChainQueries } from '../queries/listQueries.ts';
import { COMMITS, LOCK_CLASS, REMOVAL } from '../store/advisoryLocks.ts';
import { COMMIT_SQL, commitParameters } from '../store/commitParameters.ts';
import { prepareCommit } from '../store/preparedCommit.ts';
import { createQuotaCounts } from '../store/quotaRows.ts';

/** The process that removes. */
export interface Remover {
  /** Stands for a gateway in the metadata of the event. */
  readonly gatewayId: GatewayId;
  readonly newId: NewId;
}

/**
 * Seals all existing events, and resolves with the position of the last one. Only sealed events are removed, so that
 * the chain shows the removal.
 */
export async function sealEverything(
  connection: OneConnection,
  gatewayId: GatewayId,
): Promise<number> {
  await sealAll(createChainQueries(connection), { gatewayId, pauses: 0, isOver: () => false });
  const [chain] = await connection.sql<{ position: number }[]>`SELECT position FROM chain_head`;
  return chain?.position ?? 0;
}

/** What was removed, and why. */
type Removed = WithoutCounted<RemovalCommand>;
type WithoutCounted<Command> = Command extends unknown
  ? Omit<Command, 'at' | 'removalId' | 'events' | 'digest'>
  : never;

export interface RemovedEvent {
  readonly position: number;
  /** The hash of the event's new content, and the salt of this hash. Null: the event was deleted. */
  readonly left: { readonly leaf: Buffer; readonly salt: Buffer } | null;
}

/**
 * Records a removal, and notes which events were deleted or emptied. It also replaces their salts, so that nobody can
 * find out by guessing what they contained. It must be the last step of the transaction that has removed them, because
 * it takes the append lock.
 * @param events in any order
 */
export async function recordRemoval(
  sql: Sql,
  { gatewayId, newId }: Remover,
  removed: Removed,
  events: readonly RemovedEvent[],
): Promise<void> {
  const removalId = newId<RemovalId>();
  const digest = await noteRemoved(sql, removalId, events);
  const counted = { at: new Date().toISOString(), removalId, events: events.length, digest };
  const command: RemovalCommand = { ...removed, ...counted };
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

/** @returns the digest of the removal */
async function noteRemoved(
  sql: Sql,
  removalId: RemovalId,
  events: readonly RemovedEvent[],
): Promise<string> {
  const ordered = [...events].sort((one, other) => one.position - other.position);
  const digest = createRemovalDigest();
  for (const { position, left } of ordered) digest.add(position, left?.leaf ?? null);
  const rows = ordered.map(({ position, left }) => ({
    position,
    leaf: left?.leaf.toString('hex') ?? null,
    salt: left?.salt.toString('hex') ?? null,
  }));
  await sql`
    WITH removed AS (
      SELECT r.position, decode(r.leaf, 'hex') AS leaf, decode(r.salt, 'hex') AS salt
      FROM json_to_recordset(${JSON.stringify(rows)}::text::json) AS r (position bigint, leaf text, salt text)
    ), noted AS (
      INSERT INTO event_removals (position, removal_id, leaf)
      SELECT r.position, ${removalId}::uuid, r.leaf FROM removed r
    )
    UPDATE event_links l SET salt = r.salt FROM removed r WHERE l.position = r.position`;
  return digest.end();
}

/**
 * A transaction that removes events must call this before it takes any other lock, except that of rebuilds. First it
 * waits for other removals. Then it takes the lock of commits shared, as commits do: a rebuild that compares rows with
 * events must not see events change.
 */
export async function lockRemoval(sql: Sql): Promise<void> {
  await sql`SELECT pg_advisory_xact_lock(${LOCK_CLASS}, ${REMOVAL})`;
  await sql`SELECT pg_advisory_xact_lock_shared(${LOCK_CLASS}, ${COMMITS})`;
}

/**
 * The sizes of a row's events and outputs. Executions have all of them, versions of environments only the output, other
 * kinds none.
 */
export interface Sized {
  readonly codeBytes?: number;
  readonly inputBytes?: number;
  readonly outputBytes?: number;
}

/**
 * The first of these rows, as long as their sizes (`bytesOf`) add up to at most `maxBytes`. The very first is taken
 * even if it alone is larger.
 */
export function withinBytes<Row>(
  rows: readonly Row[],
  maxBytes: number,
  bytesOf: (row: Row & Sized) => number,
): readonly Row[] {
  let bytes = 0;
  const end = rows.findIndex((row) => {
    bytes += bytesOf(row as Row & Sized);
    return bytes > maxBytes;
  });
  return end < 0 ? rows : rows.slice(0, Math.max(1, end));
}

/** The bytes of code and input, which are in the events of an execution. */
export function bytesInEvents({ codeBytes = 0, inputBytes = 0 }: Sized): number {
  return codeBytes + inputBytes;
}
