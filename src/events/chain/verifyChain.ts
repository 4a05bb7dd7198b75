/**
 * Checks every event against the audit chain, and the chain against heads that are known outside of the database. It
 * changes nothing, and may run while gateways serve.
 */
import type { AuditHead } from '../../domain/auditHead.ts';
import { REMOVAL_TYPES } from '../../domain/removal.ts';
import type { Sql } from '../connection/client.ts';
import type { DatabaseAddress } from '../connection/databaseAddress.ts';
import { onOneConnection } from '../connection/oneConnection.ts';
import { requireTables } from '../migrations/compatibility.ts';
import { createHeadCheck } from './headCheck.ts';
import { type EventText, leafOf, nextHead } from './leaf.ts';
import {
  type ChainLink,
  type EventRemoval,
  readChainEnd,
  readDays,
  readEventRemovals,
  readLinks,
  readUnlinked,
  readUnsealedRemovals,
} from './readChain.ts';
import { createRemovalCheck } from './removalCheck.ts';

/** Further findings are only counted. */
const MAX_FINDINGS = 1_000;

export interface Verified {
  /** Null: this database has no chain yet. */
  readonly chainId: string | null;
  /** The position of the last event that the chain has. */
  readonly position: number;
  /** How many events were compared with their links. */
  readonly events: number;
  /** How many events the chain does not have yet. Nothing is known about them. */
  readonly unsealed: number;
  /** How many heads from outside of the database were compared. */
  readonly outsideHeads: number;
  /** One sentence each, for the operator: at most 1,000. */
  readonly findings: readonly string[];
  /** The number of all findings. 0: as far as the heads show, nobody has changed, removed or inserted an event. */
  readonly findingCount: number;
}

/**
 * @param outside heads of this chain from a gateway's file or log
 * @throws Error when the database is away, or has no tables of Cellhouse yet
 */
export async function verifyChain(
  address: DatabaseAddress,
  outside: readonly AuditHead[],
): Promise<Verified> {
  const client = { name: 'verify', statementTimeoutMs: 0 };
  return await onOneConnection(address, client, ({ transaction }) =>
    transaction((sql) => verify(sql, outside), 'ISOLATION LEVEL REPEATABLE READ READ ONLY'),
  );
}

function createFindings() {
  const findings: string[] = [];
  let findingCount = 0;
  return {
    add: (finding: string) => {
      findingCount += 1;
      if (findings.length < MAX_FINDINGS) findings.push(finding);
    },
    all: () => ({ findings, findingCount }),
  };
}

async function verify(sql: Sql, outside: readonly AuditHead[]): Promise<Verified> {
  // This process may be slow, and no other transaction waits for this one.
  await sql`SET LOCAL idle_in_transaction_session_timeout = 0`;
  await requireTables(sql);
  const { add, all } = createFindings();
  const end = await readChainEnd(sql);
  if (end === null) {
    const { unsealed } = await readUnlinked(sql, 0);
    if (outside.length > 0) add('The database has no chain, although there are heads of one.');
    return { chainId: null, position: 0, events: 0, unsealed, outsideHeads: 0, ...all() };
  }
  const heads = createHeadCheck({ end, days: await readDays(sql, end.chainId), outside, add });
  const removals = createRemovalCheck(add);
  let events = 0;
  for await (const links of readLinks(sql)) {
    const [first, last] = [links[0]?.position ?? 0, links.at(-1)?.position ?? 0];
    const removed = removals.take(await readEventRemovals(sql, first, last));
    for (const link of links) {
      heads.before(link.position);
      const problem = problemOf(link, removed.get(link.position) ?? []);
      if (problem !== null) add(`Event ${link.position} ${problem}.`);
      else if (link.event && isRemoval(link.event)) removals.learn(link.event.data);
      heads.after(link.position, nextHead(heads.head(), link.position, link.leaf));
    }
    events += links.length;
  }
  heads.end();
  for (const data of await readUnsealedRemovals(sql, end.position)) removals.learn(data);
  removals.end();
  const { inserted, unsealed } = await readUnlinked(sql, end.position);
  for (const { position, type } of inserted)
    add(`Event ${position} (${type}) was inserted: the chain does not have it.`);
  const { chainId, position } = end;
  return { chainId, position, events, unsealed, outsideHeads: outside.length, ...all() };
}

function isRemoval({ type }: EventText): boolean {
  return REMOVAL_TYPES.some((each) => each === type);
}

/**
 * The problem of an event: the end of a sentence that begins with "Event 5". Null if the event is unchanged since it
 * was sealed, or was removed as recorded.
 */
function problemOf(
  { leaf, salt, event }: ChainLink,
  removals: readonly EventRemoval[],
): string | null {
  const isDeleted = removals.some((removal) => removal.leaf === null);
  if (event === null) return isDeleted ? null : 'was removed';
  if (isDeleted) return `(${event.type}) is there, although it was pruned`;
  if (salt === null) return 'is there, although its salt was deleted: it cannot be checked';
  const found = leafOf(salt, event);
  const expected = removals.length === 0 ? [leaf] : removals.map((removal) => removal.leaf);
  return expected.some((each) => each !== null && found.equals(each))
    ? null
    : `(${event.type}) was changed`;
}
