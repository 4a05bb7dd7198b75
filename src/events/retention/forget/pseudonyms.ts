/**
 * The names that replace those of forgotten users and tenants. A pseudonym is random, so nobody can compute it.
 * Everything that a user has left gets the same one. It stays in the table `pseudonyms` until everything is done, so
 * that a `forget` after a crash continues with it.
 */
import { randomBytes } from 'node:crypto';
import type { Owner } from '../../../domain/owner.ts';
import type { Sql } from '../../connection/client.ts';
import { isOf } from '../../queries/isOf.ts';

/** Enough that no two are the same. */
const RANDOM_BYTES = 8;
/** The key of a tenant itself. No user has an empty name. */
const TENANT_ITSELF = '';

/** The names of the tenant (null: it keeps its own) and of some of its users, by their former names. */
export interface Pseudonyms {
  readonly tenant: string | null;
  readonly users: ReadonlyMap<string, string>;
}

/** Resolves with the pseudonyms. Makes one for everybody who has none yet. */
export async function pseudonymsFor(
  sql: Sql,
  { tenant, userUuid }: Owner,
  users: readonly string[],
): Promise<Pseudonyms> {
  const wanted = [...new Set([...users, ...(userUuid === null ? [TENANT_ITSELF] : [userUuid])])];
  const rows = wanted.map((user) => ({
    tenant,
    user_uuid: user,
    pseudonym: `forgotten-${randomBytes(RANDOM_BYTES).toString('hex')}`,
  }));
  await sql`
    INSERT INTO pseudonyms (tenant, user_uuid, pseudonym)
    SELECT r.tenant, r.user_uuid, r.pseudonym FROM json_populate_recordset(NULL::pseudonyms, ${JSON.stringify(rows)}::text::json) r
    ON CONFLICT DO NOTHING`;
  const given = await sql<{ userUuid: string; pseudonym: string }[]>`
    SELECT user_uuid, pseudonym FROM pseudonyms WHERE tenant = ${tenant} AND user_uuid = ANY (${wanted}::text[])`;
  const names = new Map(given.map((row) => [row.userUuid, row.pseudonym]));
  return { tenant: userUuid === null ? nameOf(names, TENANT_ITSELF) : null, users: names };
}

/** The pseudonym of a name. @throws Error if there is none, which is a defect */
export function nameOf(names: ReadonlyMap<string, string>, of: string): string {
  const name = names.get(of);
  if (name === undefined) throw new Error('A pseudonym was deleted while it was used.');
  return name;
}

/** Deletes the pseudonyms of an owner. After this, nobody can find out who was meant. */
export async function forgetPseudonyms(sql: Sql, owner: Owner): Promise<void> {
  await sql`DELETE FROM pseudonyms t WHERE ${isOf(sql, owner)}`;
}
