import { beforeEach, describe, expect, it } from 'vitest';
import type { RefusedCalls } from '../../src/events/queries/countQueries.ts';
import { newId } from '../../src/process/newId.ts';
import { createRefusals, type Refusals } from '../../src/service/access/refusals.ts';

const T0 = Date.parse('2026-01-02T03:04:30.000Z');
const MINUTE = new Date('2026-01-02T03:04:00.000Z');

let now: Date;
let recorded: RefusedCalls[][];
let refusals: Refusals;
let isAway: boolean;
/** Whether the database's next answer is lost, although it has recorded the counts. */
let losesAnswer: boolean;
beforeEach(() => {
  now = new Date(T0);
  [recorded, isAway, losesAnswer] = [[], false, false];
  refusals = createRefusals(
    {
      recordRefusedCalls: async (rows) => {
        if (isAway)
          throw Object.assign(new Error('The database is away.'), { code: 'ECONNREFUSED' });
        recorded.push(structuredClone([...rows]));
        if (losesAnswer) throw Object.assign(new Error('Lost.'), { code: 'CONNECTION_CLOSED' });
      },
    },
    () => now,
    newId,
  );
});
const sum = () => recorded.flat().reduce((total, { count }) => total + count, 0);

describe('refused calls', () => {
  it('are counted by minute, token, operation and code', async () => {
    for (let call = 0; call < 3; call += 1) refusals.add('t', 'execute', 'FORBIDDEN');
    refusals.add(null, 'authenticate', 'UNAUTHENTICATED');
    refusals.add('t', 'execute', 'NOT_FOUND');
    await refusals.recordSome();
    await refusals.recordSome();
    refusals.add('t', 'execute', 'FORBIDDEN');
    expect(recorded).toEqual([
      [
        { minute: MINUTE, token: 't', operation: 'execute', code: 'FORBIDDEN', count: 3 },
        {
          ...{ minute: MINUTE, token: 'unknown', operation: 'authenticate' },
          ...{ code: 'UNAUTHENTICATED', count: 1 },
        },
      ],
    ]);
    now = new Date(T0 + 60_000);
    await refusals.recordSome();
    expect(recorded[1]).toMatchObject([{ minute: MINUTE, count: 1 }]);
    refusals.add('t', 'execute', 'QUOTA_EXCEEDED');
    await refusals.close();
    await refusals.close();
    expect(recorded[2]).toMatchObject([{ minute: new Date('2026-01-02T03:05:00.000Z') }]);
    expect(Object.fromEntries(refusals.totals)).toMatchObject({
      ...{ FORBIDDEN: 4, QUOTA_EXCEEDED: 1, UNAUTHENTICATED: 1, NOT_FOUND: 1, INTERNAL: 0 },
    });
    refusals.newErrorId();
    expect(refusals.totals.get('INTERNAL')).toBe(1);
  });

  it('that could not be recorded are recorded later, each once', async () => {
    isAway = true;
    refusals.add('t', 'execute', 'FORBIDDEN');
    await expect(refusals.recordSome()).rejects.toThrow('away');
    refusals.add('t', 'execute', 'FORBIDDEN');
    refusals.add('t', 'submit', 'FORBIDDEN');
    isAway = false;
    await refusals.recordSome();
    expect(recorded.flat().map(({ operation, count }) => [operation, count])).toEqual([
      ['execute', 2],
      ['submit', 1],
    ]);
  });

  it('are not recorded again if the answer was lost, because they may be recorded already', async () => {
    losesAnswer = true;
    refusals.add('t', 'execute', 'FORBIDDEN');
    await expect(refusals.recordSome()).rejects.toThrow('Lost');
    losesAnswer = false;
    await refusals.close();
    expect(sum()).toBe(1);
  });

  it('are a bounded number of rows, and every one is counted, however many come', async () => {
    for (let call = 0; call < 100_000; call += 1) {
      refusals.add(`token-${call % 10_000}`, 'execute', 'FORBIDDEN');
      if (call % 40_000 === 0) await refusals.close();
    }
    await refusals.close();
    const rows = new Set(recorded.flat().map(({ token, operation }) => `${token} ${operation}`));
    expect(rows.size).toBeLessThanOrEqual(4_097);
    expect(rows).toContain('other other');
    expect(sum()).toBe(100_000);
  });
});
