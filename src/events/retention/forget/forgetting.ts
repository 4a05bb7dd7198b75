/** What all steps of forgetting share. */
import type { Owner } from '../../../domain/owner.ts';
import type { Sql } from '../../connection/client.ts';
import type { OneConnection } from '../../connection/oneConnection.ts';
import { LOCK_CLASS, REBUILD } from '../../store/advisoryLocks.ts';
import { lockRemoval } from '../lockRemoval.ts';
import type { Remover } from '../recordRemoval.ts';
import { nameOf, type Pseudonyms } from './pseudonyms.ts';

export interface Forgetting extends Remover {
  readonly owner: Owner;
  /** The position of the last event that is sealed. */
  readonly sealed: number;
}

/** How much was forgotten. */
export interface Forgotten {
  readonly streams: number;
  readonly events: number;
  readonly outputs: number;
}

export const NOTHING: Forgotten = { streams: 0, events: 0, outputs: 0 };

export function sumOf(one: Forgotten, other: Forgotten): Forgotten {
  return {
    streams: one.streams + other.streams,
    events: one.events + other.events,
    outputs: one.outputs + other.outputs,
  };
}

/**
 * Forgets page by page. A page is one transaction. `forgetPage` gets the end of the previous page (null at first), and
 * returns the end of its own, or null when nothing is left.
 */
export async function inPages<Place>(
  { transaction }: OneConnection,
  forgetPage: (
    sql: Sql,
    after: Place | null,
  ) => Promise<(Forgotten & { readonly last: Place }) | null>,
): Promise<Forgotten> {
  let total = NOTHING;
  for (let after: Place | null = null; ; ) {
    const page = await transaction((sql) => forgetPage(sql, after));
    if (page === null) return total;
    total = sumOf(total, page);
    after = page.last;
  }
}

/**
 * Must be the first step of each transaction. It waits for a running rebuild, which would otherwise write back rows
 * from events that it has read before. Then it waits for its turn among removals and commits.
 */
export async function lockForgetting(sql: Sql): Promise<void> {
  await sql`SELECT pg_advisory_xact_lock(${LOCK_CLASS}, ${REBUILD})`;
  await lockRemoval(sql);
}

/** The fields that all removals of the owner have in common. */
export function removalOf({ userUuid }: Owner, { tenant, users }: Pseudonyms) {
  const type = 'RecordForgetting' as const;
  return userUuid === null
    ? { type, scope: 'TENANT' as const, pseudonym: tenant ?? '' }
    : { type, scope: 'USER' as const, pseudonym: nameOf(users, userUuid) };
}

/** The error for the operator if `table` has something of the owner that is newer than the command. */
export function actedMeanwhile(table: string): Error {
  return new Error(
    `There is something new in ${table}: somebody has acted for them meanwhile. Make sure that nobody does, then repeat this.`,
  );
}
