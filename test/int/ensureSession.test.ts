/** `ensureSession()` opens sessions without an execution. The workers are programmed. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/config.ts';
import { quotaDefaults } from '../../src/config/quotas.ts';
import { composePool } from '../../src/gateway.ts';
import { newId } from '../../src/process/newId.ts';
import { actorOf } from '../../src/service/access/actorDeps.ts';
import { NEVER } from '../../src/service/access/tokenEnd.ts';
import { createOpenSessions } from '../../src/service/openSessions.ts';
import { AUTH_TOKEN_HOLDER } from '../../src/service/principal.ts';
import { createQuotas } from '../../src/service/quotas/quotas.ts';
import { ensureSession } from '../../src/service/sessions/opening.ts';
import { createSessionUses } from '../../src/service/sessions/sessionUses.ts';
import { useDatabase } from '../support/database.ts';
import { createProgrammedRuntime } from '../support/programmedRuntime.ts';

const OWNER = { tenant: 'default' };
const WAIT_MS = 10_000;

const db = await useDatabase();
const socketDir = mkdtempSync(join(tmpdir(), 'ch-ensure-'));
const workers = createProgrammedRuntime();
const first = await startGateway();
const second = await startGateway();
afterAll(async () => {
  await first.pool.close(0);
  await second.pool.close(0);
  await workers.close();
  rmSync(socketDir, { recursive: true, force: true });
});

/** The parts of a gateway that open sessions. */
async function startGateway() {
  const database = await db.open();
  const { poolId } = await database.queries.poolIdentity('here');
  const config = loadConfig({ SOCKET_DIR: socketDir, DATA_DIR: socketDir });
  const { pool } = composePool({
    config,
    database,
    runtime: workers.runtime,
    poolId,
    logger: pino({ level: 'silent' }),
  });
  const sessions = createOpenSessions(database.queries);
  database.wakeUps.onEvent(sessions.apply);
  const now = () => new Date();
  const sessionUses = createSessionUses({ ...config, queries: database.queries, now });
  await pool.start(false);
  const quotas = createQuotas({
    defaults: quotaDefaults(config),
    maxCommands: config.maxCommands,
    workerCpus: config.workerCpus,
    queries: database.queries,
    now,
    clock: () => performance.now(),
  });
  return { database, pool, sessions, sessionUses, quotas, newId, now, tokenEnd: NEVER };
}

const usesOf = (id: string) =>
  db.sql<{ usedAt: Date }[]>`SELECT used_at FROM session_uses WHERE session_id = ${id}`;

describe('ensureSession', () => {
  it('opens one session for all calls at once, at any gateway', async () => {
    const owner = { ...OWNER, userUuid: 'many' };
    const sessions = await Promise.all(
      [first, second, first, second].map((gateway) => ensureSession(gateway, owner, WAIT_MS)),
    );
    expect(new Set(sessions.map(({ id }) => id)).size).toBe(1);
    expect(await db.queries.openSession('default', 'many')).toMatchObject({ id: sessions[0]?.id });
    expect((await db.readStream('session', sessions[0]?.id ?? '')).length).toBe(1);
  });

  it('counts as a use of the open session, recorded once for many calls', async () => {
    const owner = { ...OWNER, userUuid: 'user' };
    const { id } = await ensureSession(first, owner, WAIT_MS);
    await ensureSession(first, owner, WAIT_MS);
    const recorded = await usesOf(id);
    expect(recorded).toHaveLength(1);
    await ensureSession(first, owner, WAIT_MS);
    expect(await usesOf(id)).toEqual(recorded);
  });

  it('opens another session if the known one is closed', async () => {
    const owner = { ...OWNER, userUuid: 'closed' };
    const before = await ensureSession(first, owner, WAIT_MS);
    await second.pool.closeSession(before, 'released', actorOf(AUTH_TOKEN_HOLDER));
    // In this gateway's memory, the closed session is still open.
    const stale = createOpenSessions({
      ...first.database.queries,
      openSessions: async () => [before],
    });
    await stale.load();
    const after = await ensureSession({ ...first, sessions: stale }, owner, WAIT_MS);
    expect(after.id).not.toBe(before.id);
    expect(after).toMatchObject({ followsLoss: false, closedAt: null });
    expect(await usesOf(before.id)).toEqual([]);
  });
});
