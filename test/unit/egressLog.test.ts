/** The counts of connections while the database is away or slow. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { EgressCount, EgressKey, EgressOutcome } from '../../src/domain/egress.ts';
import type { SessionId } from '../../src/domain/ids.ts';
import { createEgressLog, type EgressLog } from '../../src/egress/egressLog.ts';

const MINUTE_MS = 60_000;

let stored: EgressCount[];
let calls: number[];
let database: () => Promise<void>;
let at: number;
let log: EgressLog;

beforeEach(() => {
  [stored, calls, at] = [[], [], 0];
  database = () => Promise.resolve();
  log = createEgressLog({
    now: () => new Date(at),
    queries: {
      recordEgress: async (rows) => {
        calls.push(rows.length);
        const given = structuredClone(rows);
        await database();
        stored.push(...given);
      },
      openEgressCount: async (key, minute) => {
        await database();
        stored.push({ ...key, minute, connections: 0, sentBytes: 0, receivedBytes: 0 });
      },
    },
  });
});

const away = () => Promise.reject(Object.assign(new Error('away'), { code: 'ECONNREFUSED' }));
const key = (host: string, outcome: EgressOutcome, session = 0): EgressKey => ({
  ...{ sessionId: `session-${session}` as SessionId, host, port: 80, outcome },
});
const never = () => new AbortController().signal;
const connections = () => stored.reduce((sum, row) => sum + row.connections, 0);

/** Counts the connections of hostile sessions in a minute, and tries to store the counts. Returns their total. */
async function round(sessions: number): Promise<number> {
  let counted = 0;
  for (let session = 0; session < sessions; session += 1) {
    for (let host = 0; host < 40; host += 1) {
      log.refused(key(`h${host}.test`, 'not-listed', session));
      log.addBytes(key(`h${host}.test`, 'allowed', session), 1, 2);
      counted += 1;
    }
  }
  await log.record().catch(() => undefined);
  at += MINUTE_MS;
  return counted;
}

describe('while the database is away', () => {
  it('a bounded number of rows waits, no count is lost, and the rows are stored in slices', async () => {
    database = away;
    let counted = 0;
    for (let minute = 0; minute < 60; minute += 1) counted += await round(20);
    database = () => Promise.resolve();
    calls = [];
    await log.record();
    expect(connections()).toBe(counted);
    expect(stored.reduce((sum, row) => sum + row.receivedBytes, 0)).toBe(2 * counted);
    expect(stored.length).toBeGreaterThanOrEqual(10_000);
    // Beyond 10,000 rows, there is only one row for each session and outcome.
    expect(stored.length).toBeLessThanOrEqual(10_000 + 20 * 2);
    expect(Math.max(...calls)).toBe(1_000);
    expect(
      new Set(stored.map((row) => `${row.minute} ${row.sessionId} ${row.host} ${row.outcome}`))
        .size,
    ).toBe(stored.length);
    // Afterwards, each host has rows of its own again.
    stored = [];
    await round(1);
    await log.record();
    expect(stored.filter(({ host }) => host !== '').length).toBe(32 + 40);
  });

  it('rows that are being stored count towards the bound', async () => {
    let fail: (error: Error) => void = () => undefined;
    database = away;
    for (let minute = 0; minute < 12; minute += 1) await round(20);
    database = () =>
      new Promise((_, reject) => {
        fail = reject;
      });
    const recording = log.record();
    for (let minute = 0; minute < 12; minute += 1) {
      at += MINUTE_MS;
      for (let host = 0; host < 32; host += 1) log.refused(key(`h${host}.test`, 'malformed'));
    }
    fail(Object.assign(new Error('away'), { code: 'ECONNREFUSED' }));
    await expect(recording).rejects.toThrow('away');
    database = () => Promise.resolve();
    await log.record();
    expect(stored.length).toBeLessThanOrEqual(10_000 + 20 * 3);
    expect(connections()).toBe(12 * 20 * 40 + 12 * 32);
  });

  it('a connection that could not be recorded is not counted', async () => {
    database = away;
    await expect(log.begin(key('a.test', 'allowed'), never())).rejects.toThrow('away');
    database = () => Promise.resolve();
    await log.begin(key('b.test', 'allowed'), never());
    await log.record();
    expect(stored.filter(({ connections }) => connections > 0)).toMatchObject([
      { host: 'b.test', connections: 1 },
    ]);
  });
});

it('a connection is counted in the minute of its row, unless its caller has given up', async () => {
  let done = () => {};
  database = () =>
    new Promise((resolve) => {
      done = resolve;
    });
  const gone = new AbortController();
  const begun = log.begin(key('a.test', 'allowed'), never());
  const left = log.begin(key('a.test', 'allowed'), gone.signal);
  at += MINUTE_MS;
  gone.abort();
  done();
  await begun;
  await expect(left).rejects.toBe(gone.signal.reason);
  database = () => Promise.resolve();
  log.addBytes(key('a.test', 'allowed'), 1, 1);
  await log.record();
  const rows = stored.map((row) => [row.minute.getTime(), row.connections, row.sentBytes]);
  expect(rows).toEqual([
    [0, 0, 0],
    [0, 1, 0],
    [MINUTE_MS, 0, 1],
  ]);
});
