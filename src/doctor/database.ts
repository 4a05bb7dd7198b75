/** What doctor asks of the database. It starts no server, and what it writes is gone at once. */
import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { Config } from '../config/config.ts';
import { explain, hasCode, messageOf } from '../domain/errors.ts';
import type { UsedToken } from '../domain/token.ts';
import { type Client, type DatabaseAddress, onOneConnection } from '../events/connection/client.ts';
import { readRelease, readSchemaVersion, tooOld } from '../events/migrations/migrate.ts';
import { createQuotaQueries } from '../events/queries/countQueries.ts';
import { createSessionQueries } from '../events/queries/sessionQueries.ts';
import { createTokenQueries } from '../events/queries/tokenQueries.ts';
import { createUpkeepQueries, type PoolIdentity } from '../events/queries/workerQueries.ts';
import { isRefusal, isTransient } from '../events/store/databaseErrors.ts';
import { chooseServerUser, layoutOf } from '../postgres/cluster.ts';
import { runningPostgres } from '../postgres/embeddedPostgres.ts';
import { newId } from '../process/newId.ts';
import { type Finding, failure, failureSaying, ok, unknown, warning } from './finding.ts';
import type { ClockOffset } from './machine.ts';

/** A server that takes longer to answer one of these small queries cannot serve. */
const STATEMENT_LIMIT_MS = 4_000;
const ANSWER_LIMIT_MS = 5_000;
/** The versions that docs/run/database.md names. */
const TESTED_MAJORS: readonly number[] = [17, 18];

export interface DatabaseReport {
  readonly findings: readonly Finding[];
  /** Null: it was not read, for example because the tables are too new or too old, or no gateway has made a pool. */
  readonly pool: PoolIdentity | null;
  /** Null: no database answered. */
  readonly clock: ClockOffset | null;
  /** Null: no database answered, or its tables are not those of this release. */
  readonly use: InstallationUse | null;
}

/** Who uses the installation. */
export interface InstallationUse {
  /** How many open sessions each tenant has. A tenant without any is absent. */
  readonly sessions: ReadonlyMap<string, number>;
  /** How many calls wait for a worker, at all gateways. */
  readonly waitingCalls: number;
  /** How many tenants have a valid token with which code can be run. */
  readonly tenants: number;
  /** How many quotas operators have set by a call. */
  readonly setQuotas: number;
  /** How many workers live under each OCI runtime. */
  readonly runtimes: ReadonlyMap<string, number>;
}

/** The rest of a report if the tables were not read. */
export const UNREAD = { pool: null, use: null } as const;

/** @param isServing whether a gateway runs on this DATA_DIR */
export async function checkDatabase(config: Config, isServing: boolean): Promise<DatabaseReport> {
  const { databaseUrl, dataDir } = config;
  if (databaseUrl !== null) return await askServer({ url: databaseUrl }, 'PostgreSQL');
  const isMade = existsSync(dataDir) && existsSync(layoutOf(dataDir).data);
  if (!isMade)
    return none(
      ['database', 'schema'],
      'There is no embedded database yet: the first start makes it.',
    );
  const broken = await checkCluster(dataDir);
  if (broken !== null) return { ...none(['schema'], AFTER_DATABASE), findings: [broken] };
  const address = runningPostgres(dataDir);
  if (address !== null) return await askServer(address, 'The embedded PostgreSQL');
  const found =
    'The embedded PostgreSQL does not run, as no gateway does: the next start starts it.';
  if (!isServing) return none(['database', 'schema'], found);
  const { findings, ...rest } = none(['schema'], AFTER_DATABASE);
  return { ...rest, findings: [failure('embeddedDied'), ...findings] };
}

const AFTER_DATABASE = 'Not checked, because the database does not answer.';

/** The report if there is nothing to ask. */
function none(checks: readonly ('database' | 'schema')[], found: string): DatabaseReport {
  const findings = [...checks.map((check) => unknown(check, found)), unknown('tokens', found)];
  return { ...UNREAD, findings, clock: null };
}

const GROUP_AND_OTHERS = 0o077;

/** The folder of the cluster must be the server user's, and closed to others, or PostgreSQL refuses to start. */
async function checkCluster(dataDir: string): Promise<Finding | null> {
  const { data } = layoutOf(dataDir);
  const { mode, uid } = await stat(data);
  const wanted = chooseServerUser(data)?.uid ?? process.getuid?.() ?? uid;
  if (uid === wanted && (mode & GROUP_AND_OTHERS) === 0) return null;
  const octal = (mode & 0o7777).toString(8).padStart(4, '0');
  return failure('embeddedFiles', data, octal, `uid ${uid}`, `0700 and uid ${wanted}`);
}

/**
 * Asks the server at `address`.
 * @param name what it is called at the start of a sentence
 * @throws Error if the server is there, but refuses a query, for example because the role may not read a table
 */
export async function askServer(address: DatabaseAddress, name: string): Promise<DatabaseReport> {
  const options = {
    ...{ name: 'doctor', statementTimeoutMs: STATEMENT_LIMIT_MS },
    answerTimeoutMs: ANSWER_LIMIT_MS,
  };
  let hasAnswered = false;
  try {
    return await onOneConnection(address, options, async (client) => {
      await client.answered(client.sql`SELECT 1`);
      hasAnswered = true;
      return await readAll(client, name);
    });
  } catch (error: unknown) {
    // A server that is there, but refuses a query, needs another cure. `limited` says what it has refused.
    if (hasAnswered && !isTransient(error)) throw error;
    const message = `PostgreSQL could not be reached: ${explain(error).replaceAll(/\n\s*/g, ' ')}`;
    const { findings, ...rest } = none(['schema'], AFTER_DATABASE);
    return { ...rest, findings: [failureSaying('databaseAway', message), ...findings] };
  }
}

interface ServerFacts {
  readonly version: string;
  readonly major: number;
  readonly isStandby: boolean;
  readonly isReadOnly: boolean;
  readonly fsync: string;
}

async function readAll(client: Client, name: string): Promise<DatabaseReport> {
  const { answered, sql } = client;
  const clock = await readClock(client);
  const [facts] = await answered(sql<ServerFacts[]>`
    SELECT current_setting('server_version') AS version,
      current_setting('server_version_num')::int / 10000 AS major,
      pg_is_in_recovery() AS is_standby, current_setting('default_transaction_read_only') = 'on' AS is_read_only,
      current_setting('fsync') AS fsync`);
  if (facts === undefined) throw new Error('PostgreSQL has answered with nothing.');
  const release = readRelease();
  const schema = await answered(readSchemaVersion(sql));
  const server = judgeServer(facts, name);
  // A server that takes no writes still answers the queries that follow.
  const servers =
    server.state === 'failure'
      ? [server]
      : [(await tryToWrite(client)) ?? server, ...(await findBlockers(client))];
  if (schema === null) {
    const found = 'There are no tables yet: the first start of a gateway makes them.';
    const findings = [...servers, unknown('schema', found), unknown('tokens', found)];
    return { ...UNREAD, findings, clock };
  }
  const objection = tooOld(release, schema);
  if (objection !== null) {
    const tokens = unknown('tokens', 'Not checked, because this release is too old.');
    return { ...UNREAD, findings: [...servers, failureSaying('tooOld', objection), tokens], clock };
  }
  const at = `The schema version is ${schema.version}`;
  if (schema.version < release.version) {
    // Its tables may lack columns that this release reads.
    const next = ok('schema', `${at}: the next start brings it to ${release.version}.`);
    const tokens = unknown('tokens', 'Not checked, because the tables are of an older release.');
    return { ...UNREAD, findings: [...servers, next, tokens], clock };
  }
  const how =
    schema.version > release.version
      ? `this release knows ${release.version}, and may work on it`
      : 'as this release wants it';
  const pool = await createUpkeepQueries(client, newId).knownPool();
  const tokens = await createTokenQueries(client).tokens();
  const now = new Date();
  const quotas = await createQuotaQueries(client).setQuotas();
  return {
    findings: [...servers, ok('schema', `${at}: ${how}.`), ...judgeTokens(tokens, now)],
    pool,
    clock,
    use: {
      sessions: await createSessionQueries(client).openSessionsByTenant(),
      waitingCalls: await readWaitingCalls(client),
      tenants: tenantsWithUsers(tokens, now).size,
      setQuotas: quotas.filter(({ maximum }) => maximum !== null).length,
      runtimes: await readRuntimes(client),
    },
  };
}

/** The tenants that have a valid token with which code can be run. */
function tenantsWithUsers(tokens: readonly UsedToken[], now: Date): ReadonlySet<string> {
  const valid = tokens.filter(
    ({ role, revokedAt, expiresAt }) =>
      (role === 'TENANT' || role === 'USER') &&
      revokedAt === null &&
      (expiresAt === null || expiresAt > now),
  );
  return new Set(valid.map(({ tenant }) => tenant));
}

/** At gateways that live. */
async function readWaitingCalls({ answered, sql }: Client): Promise<number> {
  const [row] = await answered(sql<{ count: number }[]>`
    SELECT coalesce(sum(w.count), 0)::int AS count FROM waiting_requests w
    JOIN leases l ON l.name = 'gateway-' || w.gateway_id AND l.expires_at > clock_timestamp()`);
  return row?.count ?? 0;
}

/** Workers are recorded with the name of the engine before that of the runtime: `docker/runc`. */
async function readRuntimes({ answered, sql }: Client): Promise<ReadonlyMap<string, number>> {
  const rows = await answered(sql<{ name: string; count: number }[]>`
    SELECT split_part(runtime, '/', 2) AS name, count(*)::int FROM workers
    WHERE state IN ('IDLE', 'ASSIGNED') GROUP BY runtime`);
  return new Map(rows.map(({ name, count }) => [name, count]));
}

/** The workers from before DOCKER_RUNTIME was changed. Pure. */
export function judgeRuntimes(
  use: Pick<InstallationUse, 'runtimes'> | null,
  dockerRuntime: string,
): Finding[] {
  return [...(use?.runtimes ?? [])]
    .filter(([name]) => name !== dockerRuntime)
    .map(([name, count]) => warning('otherRuntime', count, name, dockerRuntime));
}

/** Pure. @param maxWorkers MAX_TOTAL_WORKERS */
export function judgePool(
  use: Pick<InstallationUse, 'sessions' | 'waitingCalls'> | null,
  maxWorkers: number,
): Finding {
  if (use === null) return unknown('pool', 'Not checked, because the database does not say.');
  const { sessions, waitingCalls } = use;
  const byTenant = [...sessions].sort(([, a], [, b]) => b - a);
  const open = byTenant.reduce((sum, [, count]) => sum + count, 0);
  const [tenant, most] = byTenant[0] ?? ['', 0];
  return waitingCalls > 0 && open >= maxWorkers
    ? warning('poolFull', maxWorkers, most, tenant, waitingCalls)
    : ok(
        'pool',
        `${open} of at most ${maxWorkers} workers have sessions, ${waitingCalls} calls wait.`,
      );
}

async function readClock({ answered, sql }: Client): Promise<ClockOffset> {
  // The first answer of a connection takes longer, so this is not the first one (see `askServer`).
  const before = Date.now();
  const [row] = await answered(sql<{ at: number }[]>`
    SELECT extract(epoch FROM clock_timestamp())::float8 * 1000 AS at`);
  const after = Date.now();
  const middle = (before + after) / 2;
  return { aheadMs: middle - (row?.at ?? middle), uncertaintyMs: (after - before) / 2 };
}

/** Pure. @param name what the server is called at the start of a sentence */
export function judgeServer(facts: ServerFacts, name: string): Finding {
  const { version, major, isStandby, isReadOnly, fsync } = facts;
  if (isStandby) return failure('databaseUnready', 'a standby');
  if (isReadOnly) return failure('databaseUnready', 'a database that only allows reading');
  if (fsync !== 'on') return warning('databaseUnready', 'a server with fsync off');
  if (!TESTED_MAJORS.includes(major))
    return warning('databaseOld', version, TESTED_MAJORS.join(' and '));
  return ok('database', `${name} ${version} answers.`);
}

/** About 1 MiB, so that a disk that is nearly full counts as full. */
const PROBE_ROWS = 10_000;
const INSUFFICIENT_PRIVILEGE = '42501';

/**
 * Makes a table that only this connection sees, and that is gone with the commit. Null: the server takes writes, or its
 * owner forbids such tables.
 */
async function tryToWrite({ answered, sql }: Client): Promise<Finding | null> {
  try {
    await answered(sql`
      CREATE TEMPORARY TABLE doctor_probe ON COMMIT DROP AS
        SELECT repeat('x', 64) FROM generate_series(1, ${PROBE_ROWS}::int)`);
    return null;
  } catch (error: unknown) {
    if (!isRefusal(error)) throw error;
    return hasCode(error, INSUFFICIENT_PRIVILEGE)
      ? null
      : failure('databaseTakesNoWrites', messageOf(error));
  }
}

/** A transaction of a gateway takes far less. */
const LONG_TRANSACTION = '5 s';
/** Longer than a gateway's transaction waits for another gateway's. */
const LONG_WAIT = '1 s';

interface Blocker {
  readonly pid: number;
  readonly role: string | null;
  readonly application: string | null;
}

/** The transactions that keep others waiting. How old one of another role is may be hidden (`xact_start` is null). */
async function findBlockers({ answered, sql }: Client): Promise<Finding[]> {
  const blockers = await answered(sql<Blocker[]>`
    SELECT DISTINCT blocker.pid, blocker.usename AS role, blocker.application_name AS application
    FROM pg_stat_activity AS waiting
    CROSS JOIN LATERAL unnest(pg_blocking_pids(waiting.pid)) AS by (pid)
    JOIN pg_stat_activity AS blocker ON blocker.pid = by.pid
    WHERE waiting.datname = current_database() AND (
      blocker.xact_start < now() - ${LONG_TRANSACTION}::interval
      OR blocker.xact_start IS NULL AND waiting.query_start < now() - ${LONG_WAIT}::interval)`);
  return blockers.map(({ pid, role, application }) =>
    failure('databaseBlocked', pid, `role ${role}${application ? `, ${application}` : ''}`),
  );
}

// Tokens.

/** Enough time to make another token and give it to its client. */
const SOON_MS = 7 * 86_400_000;
/** A client that has not noticed by then does not use the token. */
const RECENT_MS = 30 * 86_400_000;

/** The tokens that expire within a week, or expired within a month. Pure. */
export function judgeTokens(
  tokens: readonly Pick<UsedToken, 'name' | 'id' | 'expiresAt' | 'revokedAt'>[],
  now: Date,
): Finding[] {
  const findings = tokens.flatMap(({ name, id, expiresAt, revokedAt }) => {
    if (expiresAt === null || revokedAt !== null) return [];
    const leftMs = expiresAt.getTime() - now.getTime();
    if (leftMs > SOON_MS || leftMs < -RECENT_MS) return [];
    const parts = [`${name} (${id})`, `at ${expiresAt.toISOString().slice(0, 16)}Z`] as const;
    return [warning(leftMs > 0 ? 'tokenExpires' : 'tokenExpired', ...parts)];
  });
  const valid = tokens.filter(({ revokedAt }) => revokedAt === null).length;
  return findings.length > 0
    ? findings
    : [ok('tokens', `No token expires within a week (${valid} not revoked).`)];
}
