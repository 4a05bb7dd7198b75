/** Whether the callers of a group may still begin what they ask for. */
import { within } from '../../async/within.ts';
import type { Client } from '../connection/client.ts';
import type { PreparedCommit } from './preparedCommit.ts';

/**
 * How long a group waits to learn who is still let in. That is looked up four times a second, so the answer takes
 * longer only while the database does not respond. The other commits of the group wait meanwhile.
 */
const KNOWN_WITHIN_MS = 1_000;

/** The commits of the group whose askers are let in now. Commits without an asker are among them. */
export async function whoStands(
  group: readonly PreparedCommit[],
): Promise<readonly PreparedCommit[]> {
  const unknown = group.flatMap(({ commit: { asker } }) => asker?.fresh() ?? []);
  if (unknown.length > 0) await within(KNOWN_WITHIN_MS, Promise.all(unknown), () => undefined);
  const stands = ({ commit: { asker } }: PreparedCommit) =>
    asker === undefined || (!asker.isOver && asker.fresh() === null);
  return group.every(stands) ? group : group.filter(stands);
}

/**
 * The commits of the group that were in the transaction of the event at `position`, and the position of their first
 * event. Another attempt may have sent other commits of the group, which then have other positions. Commits without
 * events have no asker, so every attempt contained them.
 */
export async function committedOf(
  { sql, answered }: Client,
  group: readonly PreparedCommit[],
  position: number,
): Promise<{ readonly committed: readonly PreparedCommit[]; readonly firstPosition: number }> {
  const firstIds = group.flatMap(({ events }) => events[0]?.eventId ?? []);
  const rows = await answered(
    sql<{ eventId: string; position: number }[]>`
      SELECT e.event_id, e.position FROM events e
      WHERE e.event_id = ANY (${firstIds}) AND e.xmin = (SELECT at.xmin FROM events at WHERE at.position = ${position})`,
  );
  const found = new Map(rows.map((row) => [row.eventId, row.position]));
  return {
    committed: group.filter(
      ({ events: [first] }) => first === undefined || found.has(first.eventId),
    ),
    firstPosition: Math.min(...found.values()),
  };
}
