import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/config.ts';
import { quotaDefaults } from '../../src/config/quotas.ts';
import { QuotaError } from '../../src/domain/quota.ts';
import type { Commit, StreamAppend } from '../../src/events/store/eventStore.ts';
import { prepareCommit } from '../../src/events/store/preparedCommit.ts';
import { createQuotaCounts, quotaRows } from '../../src/events/store/quotaRows.ts';
import { newId } from '../../src/process/newId.ts';
import { executionRequested, sessionOpened } from '../../testkit/events.ts';

const TENANT = { kind: 'RUNNING_EXECUTIONS', tenant: 'a', userUuid: null } as const;

function rowsOf(
  commits: readonly Pick<Commit, 'streams' | 'quotas'>[],
  counts = createQuotaCounts(),
) {
  const group = commits.map((commit) => prepareCommit(commit, newId));
  const [json, until] = quotaRows(group, counts);
  return { lists: json === null ? null : JSON.parse(json), until };
}

function commit(
  streams: StreamAppend[],
  limits: Record<string, number>,
  userUuid: string | null = null,
) {
  return { streams, quotas: { of: [{ tenant: 'a', userUuid, limits }], maxCommands: 16 } };
}

describe('the quotas of a group', () => {
  it('have no rows without a limit for what the group adds', () => {
    expect(rowsOf([{ streams: [executionRequested()] }])).toEqual({ lists: null, until: null });
    const session = commit([sessionOpened()], { RUNNING_EXECUTIONS: 1 });
    expect(rowsOf([session])).toEqual({ lists: null, until: null });
  });

  it('are one row for each owner, with the lowest limits and all that is added', () => {
    const { lists, until } = rowsOf([
      commit([executionRequested()], { RUNNING_EXECUTIONS: 5, EXECUTIONS_PER_MINUTE: 9 }),
      commit([executionRequested()], { RUNNING_EXECUTIONS: 4, QUEUED_EXECUTIONS: 3 }),
      commit([sessionOpened(), executionRequested()], { OPEN_SESSIONS: 2 }, 'user'),
    ]);
    expect(until).toBe(0);
    expect(lists).toEqual({
      openSessions: [{ tenant: 'a', user_uuid: 'user', added: 1, maximum: 2, until: 0 }],
      executions: [
        {
          tenant: 'a',
          user_uuid: null,
          added: 2,
          running: 4,
          queued: 3,
          max_commands: 16,
          until: 0,
        },
      ],
      minute: [{ tenant: 'a', user_uuid: null, added: 2, maximum: 9, until: 0 }],
    });
  });

  it('need not be counted before as many events have followed as were left below the limit', () => {
    const counts = createQuotaCounts();
    counts.learn([{ ...TENANT, count: 20 }], 1_000);
    const request = commit([executionRequested()], { RUNNING_EXECUTIONS: 100 });
    expect(rowsOf([request], counts).until).toBe(1_080);
    // A lower limit, and another kind that was not counted.
    expect(rowsOf([commit([executionRequested()], { RUNNING_EXECUTIONS: 10 })], counts).until).toBe(
      990,
    );
    const both = commit([executionRequested()], { RUNNING_EXECUTIONS: 100, QUEUED_EXECUTIONS: 5 });
    expect(rowsOf([both], counts).until).toBe(0);
    counts.learn([{ ...TENANT, count: 99 }], 1_080);
    expect(rowsOf([request], counts).until).toBe(1_081);
  });
});

it('the counts that are kept are limited, and the newest stay', () => {
  const counts = createQuotaCounts();
  for (let user = 0; user < 20_000; user += 1)
    counts.learn([{ ...TENANT, userUuid: `user-${user}`, count: 0 }], 5);
  const kept = Array.from({ length: 20_000 }, (_, user) =>
    counts.until({ ...TENANT, userUuid: `user-${user}` }, 1),
  );
  expect(kept.filter((until) => until > 0)).toHaveLength(10_000);
  expect(kept.at(-1)).toBe(6);
});

it('each kind has a setting for tenants and one for users', () => {
  const config = loadConfig(
    { QUOTA_TENANT_OPEN_SESSIONS: '0', QUOTA_USER_EXECUTIONS_PER_MINUTE: '7' },
    0,
  );
  expect(quotaDefaults(config)).toEqual({
    TENANT: { OPEN_SESSIONS: 0 },
    USER: { EXECUTIONS_PER_MINUTE: 7 },
  });
  expect(quotaDefaults(loadConfig({}, 0))).toEqual({ TENANT: {}, USER: {} });
});

it('a refusal says whose limit it is, how high, and until when', () => {
  const facts = { scope: 'TENANT', limit: 3, used: 3, retryAfterMs: 500 } as const;
  const until = '2026-01-31T12:01:00.000Z';
  const minute = new QuotaError({ ...facts, kind: 'EXECUTIONS_PER_MINUTE', until });
  expect(minute.message).toContain(`The tenant may have 3 executions in a minute`);
  expect(minute.message).toContain(until);
  expect(minute.details).toEqual({ quota: 'EXECUTIONS_PER_MINUTE', ...facts, until });
  const none = new QuotaError({ ...facts, limit: 0, kind: 'EXECUTIONS_PER_MINUTE', until });
  expect(none.message).toMatch(/Only an operator can raise the limit\.$/);
  expect(none.details).toMatchObject({ limit: 0, retryAfterMs: null, until: null });
  const queued = new QuotaError({ ...facts, kind: 'QUEUED_EXECUTIONS', until: null });
  expect(queued.message).toMatch(/Wait until one has begun or ended\.$/);
  const running = new QuotaError({ ...facts, kind: 'RUNNING_EXECUTIONS', until: null });
  expect(running.message).toMatch(/Wait until one has ended\.$/);
});
