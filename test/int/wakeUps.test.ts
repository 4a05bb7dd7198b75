import { once } from 'node:events';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { RecordedEvent } from '../../src/domain/events.ts';
import type { ExecutionId, GatewayId, SessionId } from '../../src/domain/ids.ts';
import type { Database } from '../../src/events/database.ts';
import { newId } from '../../src/process/newId.ts';
import { commitOne, executionRequested, workerRequested } from '../../testkit/events.ts';
import { useDatabase } from '../support/database.ts';

const db = await useDatabase();
const writer = await db.open();

interface Recorder {
  readonly positions: number[];
  close(): void;
}

function recordPositions(database: Database): Recorder {
  const positions: number[] = [];
  const off = database.wakeUps.onEvent(({ position }) => positions.push(position));
  return { positions, close: off };
}

/** A gateway that does not poll, so it learns of events only from notifications. */
async function openDeafToPolls(): Promise<Database> {
  vi.useFakeTimers({ toFake: ['setInterval'] });
  try {
    return await db.open();
  } finally {
    vi.useRealTimers();
  }
}

const range = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index);

const append = () => writer.store.commit({ streams: [workerRequested()] });

function print(executionId: ExecutionId, seq: number) {
  const output = { kind: 'stream', name: 'stdout', text: 'x\n' } as const;
  return writer.store.commit({
    streams: [],
    outputs: [{ executionId, seq, at: new Date(), output }],
  });
}

async function terminateListener(gatewayId: GatewayId): Promise<void> {
  const [row] = await db.sql<{ count: number }[]>`
    SELECT count(pg_terminate_backend(pid)) AS count FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE ${`%listener ${gatewayId}`}`;
  expect(row?.count).toBe(1);
}

describe('onEvent', () => {
  it('passes on a commit of its own process before commit() resolves', async () => {
    const own = recordPositions(writer);
    const { events } = await append();
    expect(own.positions.at(-1)).toBe(events[0]?.position);
    own.close();
  });

  it('passes on every event of every gateway once and in order, at each gateway', async () => {
    const [one, two] = [await db.open(), await db.open()];
    const recorders = [writer, one, two].map(recordPositions);
    const first = (await writer.store.lastPosition()) + 1;
    await Promise.all(
      [writer, one, two].flatMap(({ store }) =>
        Array.from({ length: 40 }, () => store.commit({ streams: [workerRequested()] })),
      ),
    );
    const last = await writer.store.lastPosition();
    expect(last - first).toBe(119);
    for (const { positions, close } of recorders) {
      await expect.poll(() => positions.at(-1)).toBe(last);
      expect(positions).toEqual(range(first, last));
      close();
    }
  });

  it('is notified, not polled', async () => {
    const reader = await openDeafToPolls();
    const told = new EventTarget();
    reader.wakeUps.onEvent(() => told.dispatchEvent(new Event('event')));
    const heard = once(told, 'event');
    await append();
    await heard;
  });

  it('catches up with events from the time when its LISTEN connection was gone', async () => {
    const gatewayId = newId<GatewayId>();
    const reader = await db.open(gatewayId);
    const { positions } = recordPositions(reader);
    const first = (await writer.store.lastPosition()) + 1;
    await append();
    await terminateListener(gatewayId);
    for (let count = 0; count < 5; count += 1) await append();
    const last = await writer.store.lastPosition();
    await expect.poll(() => positions.at(-1)).toBe(last);
    // It also listens again.
    await append();
    await expect.poll(() => positions.at(-1)).toBe(last + 1);
    expect(positions).toEqual(range(first, last + 1));
  });

  it('finds events without a notification by polling', async () => {
    const reader = await db.open();
    const { positions } = recordPositions(reader);
    // Inserts an event as commits do, but without NOTIFY.
    const [row] = await db.sql<{ position: number }[]>`
      INSERT INTO events (position, event_id, stream_id, version, type, schema_version, data, metadata, recorded_at)
      SELECT max(position) + 1, gen_random_uuid(), 'worker-silent', 1, 'WorkerRemoved', 1,
        '{"at": "2026-01-01T00:00:00.000Z"}', '{"gatewayId": "nobody", "causationId": null}', now()
      FROM events RETURNING position`;
    await expect.poll(() => positions.at(-1)).toBe(row?.position);
  });

  it('goes on when a listener throws', async () => {
    const reader = await db.open();
    reader.wakeUps.onEvent(() => {
      throw new Error('a listener with a mistake');
    });
    const seen: RecordedEvent[] = [];
    reader.wakeUps.onEvent((event) => seen.push(event));
    const { events } = await append();
    await expect.poll(() => seen.at(-1)?.position).toBe(events[0]?.position);
  });
});

describe('onOutput', () => {
  it('wakes listeners of the execution and of its session, at any gateway', async () => {
    const reader = await openDeafToPolls();
    const execution = await commitOne<'execution'>(writer.store, executionRequested());
    const woken = new EventTarget();
    const tell = (name: string) => () => woken.dispatchEvent(new Event(name));
    onTestFinished(reader.wakeUps.onOutput(execution.id, tell('execution')));
    onTestFinished(
      reader.wakeUps.onSessionOutput(execution.sessionId as SessionId, tell('session')),
    );
    const both = Promise.all([once(woken, 'execution'), once(woken, 'session')]);
    await print(execution.id, 1);
    await both;
  });

  it('wakes listeners of its own process before commit() resolves, but none that was removed', async () => {
    const execution = await commitOne<'execution'>(writer.store, executionRequested());
    const calls: string[] = [];
    const off = writer.wakeUps.onOutput(execution.id, () => calls.push('left'));
    off();
    onTestFinished(writer.wakeUps.onOutput(execution.id, () => calls.push('stays')));
    await print(execution.id, 1);
    expect(calls).toContain('stays');
    expect(calls).not.toContain('left');
  });

  it('wakes all waits when a commit holds more executions than a notification can name', async () => {
    const reader = await db.open();
    const appends = Array.from({ length: 100 }, () => executionRequested());
    await writer.store.commit({ streams: appends });
    const woken = new Set<string>();
    for (const { id } of appends) {
      onTestFinished(reader.wakeUps.onOutput(id as ExecutionId, () => woken.add(id)));
    }
    const output = { kind: 'stream', name: 'stdout', text: 'x\n' } as const;
    await writer.store.commit({
      streams: [],
      outputs: appends.map(({ id }) => ({
        executionId: id as ExecutionId,
        seq: 1,
        at: new Date(),
        output,
      })),
    });
    await expect.poll(() => woken.size).toBe(100);
  });
});
