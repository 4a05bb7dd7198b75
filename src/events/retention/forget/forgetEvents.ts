import type { StoredMetadata } from '../../../domain/redactedEvents.ts';
import type { Sql } from '../../connection/client.ts';
import type { OneConnection } from '../../connection/oneConnection.ts';
import { recordRemoval } from '../recordRemoval.ts';
import { type EmptiedEvent, emptyEvents } from './emptyEvents.ts';
import {
  type Forgetting,
  type Forgotten,
  inPages,
  lockForgetting,
  removalOf,
} from './forgetting.ts';
import { type Pseudonyms, pseudonymsFor } from './pseudonyms.ts';

const PAGE_EVENTS = 1_000;

export interface StoredEvent {
  readonly position: number;
  readonly streamId: string;
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly metadata: StoredMetadata;
}

/** Which events are changed, and how. */
export interface SingleEvents {
  /** The next `limit` of them, in order. Only sealed ones. */
  readonly after: (sql: Sql, position: number, limit: number) => Promise<readonly StoredEvent[]>;
  readonly left: (event: StoredEvent, names: Pseudonyms) => EmptiedEvent;
}

/**
 * Forgets single events, page by page, in streams that keep their names. A page is one transaction, which also records
 * the removal.
 */
export async function forgetEvents(
  connection: OneConnection,
  forgetting: Forgetting,
  events: SingleEvents,
): Promise<Forgotten> {
  return await inPages<number>(connection, (sql, after) =>
    forgetPage(sql, forgetting, events, after ?? 0),
  );
}

async function forgetPage(
  sql: Sql,
  forgetting: Forgetting,
  { after, left }: SingleEvents,
  position: number,
): Promise<(Forgotten & { readonly last: number }) | null> {
  await lockForgetting(sql);
  const stored = await after(sql, position, PAGE_EVENTS);
  const last = stored.at(-1)?.position;
  if (last === undefined) return null;
  const { owner } = forgetting;
  const names = await pseudonymsFor(sql, owner, []);
  const events = await emptyEvents(
    sql,
    stored.map((event) => left(event, names)),
  );
  const streams = new Set(stored.map(({ streamId }) => streamId)).size;
  await recordRemoval(sql, forgetting, { ...removalOf(owner, names), streams, outputs: 0 }, events);
  return { last, streams, events: events.length, outputs: 0 };
}
