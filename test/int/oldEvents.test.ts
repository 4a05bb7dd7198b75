/** Events of earlier releases are read in today's shape; their rows in the database stay unchanged. */
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import type { ExecutionId } from '../../src/domain/ids.ts';
import { rebuildProjections } from '../../src/events/projections/rebuildProjections.ts';
import {
  commitOne,
  executionFinished,
  executionRequested,
  onExecution,
} from '../../testkit/events.ts';
import { useDatabase } from '../support/database.ts';

const ID = '0197a000-0000-7000-8000-0000000000c1' as ExecutionId;
const STREAM = `execution-${ID}`;
/** The events of one execution as release 0.1 stored them. */
const stored = JSON.parse(
  readFileSync(new URL('../fixtures/executionStreamV1.json', import.meta.url), 'utf8'),
) as { eventId: string; version: number; type: string; data: Record<string, unknown> }[];

const db = await useDatabase();
const gateway = await db.open();
beforeAll(async () => {
  for (const { eventId, version, type, data } of stored) {
    await insert(eventId, version, type, 1, data);
  }
});

function insert(id: string, version: number, type: string, schema: number, data: object) {
  return db.sql`
    INSERT INTO events (position, event_id, stream_id, version, type, schema_version, data, metadata, recorded_at)
    SELECT coalesce(max(position), 0) + 1, ${id}, ${STREAM}, ${version}, ${type}, ${schema},
      ${JSON.stringify(data)}::text::jsonb, '{"gatewayId": "g", "causationId": null}', now() FROM events`;
}

describe('an event of an earlier release', () => {
  it('is read in today’s shape', async () => {
    const [requested, finished] = await db.readStream('execution', ID);
    expect(requested?.event.data).toEqual(stored[0]?.data);
    expect(finished).toMatchObject({ schemaVersion: 1, metadata: { correlationId: null } });
    expect(finished?.event.data).toEqual({ ...stored[1]?.data, exitCode: null });
    const kept = await db.sql`SELECT data FROM events WHERE stream_id = ${STREAM} ORDER BY version`;
    expect(kept.map(({ data }) => data)).toEqual(stored.map(({ data }) => data));
  });

  it('folds like today’s events', async () => {
    expect((await rebuildProjections(db.address)).differing.executions).toBe(1);
    expect(await gateway.queries.execution(ID)).toMatchObject({
      status: 'ERROR',
      version: 2,
      errorName: 'KernelDied',
    });
  });
});

describe('an event of today', () => {
  it('is stored with its version and read back unchanged', async () => {
    const execution = await commitOne<'execution'>(gateway.store, executionRequested());
    const died = executionFinished({ exitCode: -11 });
    await commitOne(gateway.store, onExecution(execution, died));
    const [requested, finished] = await db.readStream('execution', execution.id);
    expect([requested?.schemaVersion, finished?.schemaVersion]).toEqual([1, 2]);
    expect(finished?.event).toEqual(died);
  });
});

describe('an event of a later release', () => {
  it('is refused, with advice', async () => {
    const id = '0197a000-0000-7000-8000-0000000000e3';
    await insert(id, 3, 'ExecutionFinished', 99, { at: 'later' });
    await expect(db.readStream('execution', ID)).rejects.toThrow(
      'ExecutionFinished has schema version 99, and this release knows 2. Start the release that wrote it',
    );
  });
});
