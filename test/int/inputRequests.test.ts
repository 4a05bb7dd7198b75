/**
 * Each input to a cell looks up the newest request for input of the cell. This reads one row, however much the cell has
 * printed.
 */
import { expect, it } from 'vitest';
import type { ExecutionId } from '../../src/domain/ids.ts';
import { newId } from '../../src/process/newId.ts';
import { until } from '../../testkit/until.ts';
import { useDatabase } from '../support/database.ts';

const OUTPUTS = 20_000;
const LOOKS = 10;

const db = await useDatabase();
const { queries } = await db.open();

/** How many index entries of outputs were read, and how often the index of input requests was scanned. */
async function counts() {
  const [row] = await db.sql<{ read: number; looks: number }[]>`
    SELECT sum(idx_tup_read)::int AS read,
      (sum(idx_scan) FILTER (WHERE indexrelname = 'output_events_input_idx'))::int AS looks
    FROM pg_stat_user_indexes WHERE relname = 'output_events'`;
  if (!row) throw new Error('There is no such table.');
  return row;
}

async function print(id: ExecutionId): Promise<void> {
  await db.sql`
    INSERT INTO output_events (execution_id, seq, kind, body, bytes, at)
    SELECT ${id}, seq, 'stream', '{}', 2, now() FROM generate_series(10, ${OUTPUTS}) AS seq`;
}

async function ask(id: ExecutionId, seq: number, password: boolean): Promise<void> {
  const body = JSON.stringify({ kind: 'input', prompt: '', password });
  await db.sql`
    INSERT INTO output_events (execution_id, seq, kind, body, bytes, at)
    VALUES (${id}, ${seq}, 'input', ${body}::text::json, 2, now())`;
}

it.each(['asked before it printed', 'never asked'])(
  'looking up the newest request for input reads few rows in a cell that has %s',
  async (what) => {
    const id = newId<ExecutionId>();
    await print(id);
    const hasAsked = what !== 'never asked';
    if (hasAsked) for (const seq of [1, 2]) await ask(id, seq, seq === 2);
    const before = await counts();
    let looks = 0;
    const after = await until('the counts', async () => {
      const found = await queries.newestInputRequest(id);
      expect(found).toEqual(hasAsked ? { kind: 'input', prompt: '', password: true } : null);
      looks += 1;
      const now = await counts();
      return looks >= LOOKS && now.looks - before.looks >= LOOKS && now;
    });
    expect(after.read - before.read).toBeLessThan(OUTPUTS / 10);
  },
);
