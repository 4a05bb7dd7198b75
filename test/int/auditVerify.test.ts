/** `cellhouse audit verify` detects changes of history by somebody who may write to the database. */
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import type { AuditHead } from '../../src/domain/auditHead.ts';
import { verifyChain } from '../../src/events/chain/verifyChain.ts';
import type { Database } from '../../src/events/database.ts';
import { commitOne, executionRequested } from '../../testkit/events.ts';
import { addHistory, closeDay, seal } from '../support/auditChain.ts';
import { type TestDatabase, useDatabase } from '../support/database.ts';

let db: TestDatabase;
let gateway: Database;
let heads: AuditHead[];
/**
 * Records three closed days with seven events each, and seven events of a day that is not over. Keeps the heads of the
 * closed days outside of the database.
 */
beforeEach(async () => {
  db = await useDatabase(onTestFinished);
  gateway = await db.open();
  for (let daysAgo = 3; daysAgo > 0; daysAgo -= 1) {
    await addHistory(gateway);
    await closeDay(db, gateway, daysAgo);
  }
  await addHistory(gateway);
  await seal(gateway);
  heads = await gateway.queries.auditHeads();
});

const verify = (outside = heads) => verifyChain(db.address, outside);
const findings = async (outside = heads) => (await verify(outside)).findings;

/** Computes the whole chain anew from the present events, with the database's own functions. */
async function forgeChain(): Promise<void> {
  const days = await db.sql<{ day: string; position: number }[]>`
    SELECT day::text, position FROM chain_days ORDER BY position, day`;
  await db.sql`UPDATE chain_head SET position = 0, head = sha256(convert_to('cellhouse chain 1' || chain_id, 'UTF8'))`;
  await db.sql`DELETE FROM event_links`;
  await db.sql`DELETE FROM chain_days`;
  const forgeTo = async (to: number) => {
    await db.sql`UPDATE chain_head SET head = cellhouse_link_events(position, ${to}, head)`;
    await db.sql`UPDATE chain_head SET position = ${to}`;
  };
  for (const { day, position } of days) {
    await forgeTo(position);
    await db.sql`INSERT INTO chain_days SELECT ${day}::text::date, position, head, now(), 'forger' FROM chain_head`;
  }
  const [last] = await db.sql<{ position: number }[]>`SELECT max(position) AS position FROM events`;
  await forgeTo(last?.position ?? 0);
}

/** Deletes the last closed day and the day that is not over, and leaves all tables in agreement. */
async function cutLastDayOff(): Promise<void> {
  await db.sql`DELETE FROM events WHERE position > 14`;
  await db.sql`DELETE FROM event_links WHERE position > 14`;
  await db.sql`DELETE FROM chain_days WHERE position > 14`;
  await db.sql`UPDATE chain_head SET position = 14, head = d.head FROM chain_days d WHERE d.position = 14`;
}

describe('audit verify', () => {
  it('finds nothing in a history that nobody has touched', async () => {
    expect(heads.map(({ position }) => position)).toEqual([7, 7, 14, 21]);
    expect(await verify()).toMatchObject({
      position: 28,
      events: 28,
      unsealed: 0,
      outsideHeads: 4,
      findings: [],
    });
  });

  it('says when the database has no tables yet', async () => {
    const empty = await useDatabase(onTestFinished, { hasTables: false });
    await expect(verifyChain(empty.address, [])).rejects.toThrow('Start a gateway on it first');
  });

  it('says what is not sealed yet', async () => {
    await addHistory(gateway);
    expect(await verify()).toMatchObject({ events: 28, unsealed: 7, findings: [] });
  });

  it.each([
    ['data', 'data = data || \'{"code": "print(2)"}\''],
    ['metadata', 'metadata = metadata || \'{"gatewayId": "x"}\''],
    ['recorded_at', "recorded_at = recorded_at - interval '1 ms'"],
    ['event_id', 'event_id = gen_random_uuid()'],
    ['stream_id', "stream_id = stream_id || 'x'"],
    ['version', 'version = 9'],
    ['type', "type = 'InterruptRequested'"],
    ['schema_version', 'schema_version = 9'],
  ])('finds an event whose %s was changed', async (_, change) => {
    await db.sql.unsafe(`UPDATE events SET ${change} WHERE position = 9`);
    expect(await findings()).toEqual([expect.stringMatching(/^Event 9 \(.*\) was changed\.$/)]);
  });

  it('finds an event that was removed', async () => {
    await db.sql`DELETE FROM events WHERE position = 9`;
    expect(await findings()).toEqual(['Event 9 was removed.']);
  });

  it('finds an event that was removed with its link', async () => {
    await db.sql`DELETE FROM events WHERE position = 9`;
    await db.sql`DELETE FROM event_links WHERE position = 9`;
    const found = await findings();
    expect(found[0]).toBe('Link 9 is missing, with what it stood for.');
    expect(found[1]).toMatch(/^The links up to .* \(position 14\) are not those/);
  });

  it('finds an event that was inserted', async () => {
    await db.sql`
      INSERT INTO events SELECT 0, gen_random_uuid(), 'worker-x', 1, type, schema_version, data, metadata, recorded_at
      FROM events WHERE position = 9`;
    expect(await findings()).toEqual([expect.stringMatching(/^Event 0 .* was inserted/)]);
  });

  it('finds an event that was inserted between others by moving the later ones', async () => {
    await db.sql`UPDATE events SET position = -position - 1 WHERE position >= 27`;
    await db.sql`UPDATE events SET position = -position WHERE position < 0`;
    await db.sql`
      INSERT INTO events SELECT 27, gen_random_uuid(), 'worker-x', 1, type, schema_version, data, metadata, recorded_at
      FROM events WHERE position = 9`;
    const changed = expect.stringMatching(/^Event \d+ .* was changed/);
    expect(await verify()).toMatchObject({ findings: [changed, changed], unsealed: 1 });
  });

  it('finds two events that were swapped', async () => {
    await db.sql`UPDATE events SET position = -11 WHERE position = 9`;
    await db.sql`UPDATE events SET position = 9 WHERE position = 10`;
    await db.sql`UPDATE events SET position = 10 WHERE position = -11`;
    expect(await findings()).toEqual([
      expect.stringMatching(/^Event 9 .* was changed/),
      expect.stringMatching(/^Event 10 .* was changed/),
    ]);
  });

  it('finds two events that were swapped with their links', async () => {
    for (const table of ['events', 'event_links']) {
      await db.sql`UPDATE ${db.sql(table)} SET position = -11 WHERE position = 9`;
      await db.sql`UPDATE ${db.sql(table)} SET position = 9 WHERE position = 10`;
      await db.sql`UPDATE ${db.sql(table)} SET position = 10 WHERE position = -11`;
    }
    expect(await findings()).toHaveLength(3);
  });

  it('finds a changed event whose link was made anew', async () => {
    await db.sql`UPDATE events SET data = data || '{"code": "print(2)"}' WHERE position = 9`;
    await db.sql`DELETE FROM event_links WHERE position = 9`;
    await db.sql`SELECT cellhouse_link_events(8, 9, '')`;
    expect(await findings([])).toEqual([
      expect.stringMatching(/^The links up to .* \(position 14\) are not those/),
    ]);
  });

  it('finds that the salt of an event was deleted, although the event was not', async () => {
    await db.sql`UPDATE event_links SET salt = NULL WHERE position = 9`;
    expect(await findings()).toEqual([expect.stringMatching(/^Event 9 is there, although/)]);
  });

  it('finds that the last day was cut off, only by the heads outside', async () => {
    await cutLastDayOff();
    expect(await verify([])).toMatchObject({ position: 14, unsealed: 0, findings: [] });
    const last = `${heads.at(-1)?.day} (position 21)`;
    expect(await findings()).toEqual([`${last} is at a position without a link: cut off.`]);
  });

  it('finds that the last day was cut off, although new events have taken its place', async () => {
    await cutLastDayOff();
    await addHistory(gateway);
    await addHistory(gateway);
    await seal(gateway);
    expect(await findings([])).toEqual([]);
    expect(await findings()).toEqual([
      expect.stringMatching(/^The history up to .* \(position 21\) is not the one/),
      expect.stringMatching(/^The database does not have the day /),
    ]);
  });

  it('finds that the whole chain was computed anew, only by the heads outside', async () => {
    await db.sql`UPDATE events SET data = data || '{"code": "print(2)"}' WHERE position = 9`;
    await forgeChain();
    expect(await findings([])).toEqual([]);
    expect((await findings()).map((each) => /\(position \d+\)/.exec(each)?.[0])).toEqual(
      heads.map(({ position }) => `(position ${position})`),
    );
  });

  it('finds that the database was replaced by another one', async () => {
    await db.sql`UPDATE chain_head SET chain_id = gen_random_uuid()`;
    await forgeChain();
    expect((await findings())[0]).toMatch(/^The head of -infinity is of another chain/);
    await db.sql`DELETE FROM chain_head`;
    expect(await findings()).toEqual([
      'The database has no chain, although there are heads of one.',
    ]);
  });

  it('finds a head whose position was set to one before the end of the chain', async () => {
    await db.sql`UPDATE chain_head SET position = 27`;
    const found = await findings();
    expect(found).toContainEqual(expect.stringMatching(/^The head of the database, at 27, is not/));
  });
});

describe('hashes', () => {
  it('are the same in SQL and in TypeScript, whatever the events contain', async () => {
    const codes = [
      '',
      'ö€😀\u{10ffff}',
      '\\n\n\t"\'\\u0000 $escaped',
      '\ufeff\u2028\ufffd',
      'x'.repeat(1_048_576),
    ];
    for (const code of codes) await commitOne(gateway.store, executionRequested({ code }));
    for (const code of ['\u0000', '\ud800x'])
      await commitOne(gateway.store, executionRequested({ code }));
    const odd = (at: string, data: string) => db.sql`
      INSERT INTO events SELECT (SELECT max(position) + 1 FROM events), gen_random_uuid(), gen_random_uuid()::text, 1, E'a\nb', 1,
        ${data}::text::jsonb, 'null', ${at}::text::timestamptz`;
    await odd('infinity', '1.10');
    await odd('-infinity', '[1e2, -0, 0.000000000000000000001, 12345678901234567890123]');
    await odd('1969-12-31T23:59:59.999Z', '{"bb": {"z": 1, "a": [true, null]}, "a": "\\u007f"}');
    await odd('1970-01-01T00:00:00Z', '"text"');
    await odd('0044-03-15 12:00:00.5+00 BC', '{}');
    await odd('294276-01-01T00:00:00.001Z', '[]');
    await seal(gateway);
    expect(await verify()).toMatchObject({ events: 28 + 13, unsealed: 0, findings: [] });
  });

  it('do not depend on settings of the connection', async () => {
    const [before] = await db.sql`SELECT leaf FROM event_links WHERE position = 9`;
    const [row] = await db.sql.begin(async (sql) => {
      await sql`SET LOCAL TimeZone = 'Asia/Kathmandu'`;
      await sql`SET LOCAL DateStyle = 'German'`;
      await sql`SET LOCAL extra_float_digits = -5`;
      await sql`SET LOCAL IntervalStyle = 'iso_8601'`;
      await sql`DELETE FROM event_links WHERE position = 9`;
      await sql`SELECT cellhouse_link_events(8, 9, '')`;
      return await sql`SELECT leaf, salt FROM event_links WHERE position = 9`;
    });
    expect(row?.leaf).not.toEqual(before?.leaf);
    const found = await findings([]);
    expect(found.filter((each) => each.startsWith('Event'))).toEqual([]);
  });
});
