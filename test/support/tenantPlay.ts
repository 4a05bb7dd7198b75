/** Two tenants that call all operations at random, and the check that no answer shows anything of the other tenant. */
import { createRandom } from '../../chaos/random.ts';
import { schema } from '../../src/schema/index.ts';
import { AUTH_TOKEN_HOLDER, type Principal, sees } from '../../src/service/principal.ts';
import type { Service } from '../../src/service/service.ts';
import { until } from '../../testkit/until.ts';
import type { TestDatabase } from './database.ts';
import { askSchema, operationsOfSchema } from './operationsOfSchema.ts';
import {
  CODE_MARK,
  createTenantValues,
  markerOf,
  TENANTS,
  type Tenant,
  uuidsIn,
} from './tenantValues.ts';

const CALLERS_AT_ONCE = 12;
/** Answers are judged in batches of this size, against the owners of all ids that are recorded by then. */
const BATCH = 500;
/** How long a subscription is read. */
const FOLLOW_MS = 20;
/** The share of releases that are carried out. Each costs a worker, and making a worker takes longer than all else. */
const RELEASES = 0.1;
/** For the rarest field, only one call in several tens is answered without an error. */
const MAX_FURTHER_CALLS = 1_000;

interface Play {
  readonly seed: number;
  readonly count: number;
  readonly services: readonly Service[];
  readonly tenants?: readonly Tenant[];
  /** The only field that is called. Default: all are. */
  readonly only?: string;
  /** Fields that are called again at the end, until each was answered without an error. */
  readonly until?: readonly string[];
}

interface Played {
  /** What was wrong with answers. */
  readonly problems: readonly string[];
  /** The fields that were answered without an error at least once. */
  readonly answered: ReadonlySet<string>;
}

/** Tokens of a tenant. The one that may do most comes up most often. */
export function holdersOf(tenant: Tenant): readonly [Principal, ...Principal[]] {
  const holder = { ...AUTH_TOKEN_HOLDER, tenant };
  const whole: Principal = { ...holder, role: 'TENANT', tokenId: `all of ${tenant}` };
  return [
    whole,
    whole,
    whole,
    { ...holder, role: 'USER', users: { uuid: 'ann' }, tokenId: `ann of ${tenant}` },
    { ...holder, role: 'USER', users: { prefix: 'ann' }, tokenId: `ann* of ${tenant}` },
    { ...holder, role: 'AUDITOR', tokenId: `auditor of ${tenant}` },
  ];
}

interface Answered {
  readonly where: string;
  readonly principal: Principal;
  readonly asked: string;
  readonly text: string;
}

/** Lets the tenants make `count` calls in total, several at a time, at these gateways. */
export async function play(db: TestDatabase, plan: Play): Promise<Played> {
  const { next: random } = createRandom(plan.seed);
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
  const values = createTenantValues(random);
  const operations = operationsOfSchema(schema, { random, valueOf: values.valueOf }).filter(
    ({ field }) => plan.only === undefined || field === plan.only,
  );
  const problems: string[] = [];
  const answered = new Set<string>();
  let batch: Answered[] = [];
  let begun = 0;

  async function judge(): Promise<void> {
    const judged = batch;
    batch = [];
    const owners = await readOwners(db);
    problems.push(...judged.flatMap((each) => problemOf(each, owners) ?? []));
  }

  async function call(operation = pick(operations)): Promise<void> {
    if (operation.field === 'release' && random() > RELEASES) return;
    const tenant = pick(plan.tenants ?? TENANTS);
    const principal = pick(holdersOf(tenant));
    values.begin(tenant, operation.field);
    const variables = operation.draw();
    const asked = { service: pick(plan.services), principal, operation, variables };
    const text = await askSchema(asked, FOLLOW_MS);
    values.learn(tenant, variables, text);
    if (text !== '' && !text.includes('"errors":[{')) answered.add(operation.field);
    const where = `${operation.kind} ${operation.field} by ${principal.tokenId}`;
    batch.push({ where, principal, asked: JSON.stringify(variables), text });
  }

  async function caller(): Promise<void> {
    while (begun < plan.count) {
      begun += 1;
      if (begun % BATCH === 0) await judge();
      await call();
    }
  }

  async function callFurther(field: string): Promise<void> {
    const operation = operations.find((each) => each.field === field);
    for (let left = MAX_FURTHER_CALLS; left > 0 && !answered.has(field); left -= 1) {
      // Things that the field needs may have to be made first, by other calls.
      await call();
      await call(operation);
    }
  }

  await Promise.all(Array.from({ length: CALLERS_AT_ONCE }, caller));
  for (const field of plan.until ?? []) await callFurther(field);
  await judge();
  return { problems, answered };
}

/** What an answer shows that it must not show. Null: nothing. Ids that the caller itself has sent may come back. */
function problemOf(
  { where, principal, asked, text }: Answered,
  owners: ReadonlyMap<string, Owner>,
): string | null {
  const { tenant, role } = principal;
  const found = text.toLowerCase();
  const other = TENANTS.find((each) => each !== tenant && found.includes(markerOf(each)));
  if (other !== undefined) return `${where} shows a text of ${other}`;
  if (found.includes('"internal"')) return `${where} fails: ${text}`;
  if (role === 'AUDITOR' && found.includes(CODE_MARK)) return `${where} shows code or its output`;
  for (const id of uuidsIn(text)) {
    const owner = owners.get(id);
    if (owner === undefined || asked.includes(id)) continue;
    if (!isOf(principal, owner))
      return `${where} shows ${id} of ${owner.tenant}, ${owner.userUuid}`;
  }
  return null;
}

function isOf(principal: Principal, { tenant, userUuid }: Owner): boolean {
  return tenant !== null && sees(principal, { tenant, userUuid: userUuid ?? '' });
}

// The owner of each id in a database, from all tables.

interface Owner {
  /** Null: it is nobody's, such as a worker that no session has had. */
  readonly tenant: string | null;
  readonly userUuid: string | null;
}

/** The owner of each row of a tenant, of each worker, and of each event. */
async function readOwners({ sql }: TestDatabase): Promise<Map<string, Owner>> {
  const owners = new Map<string, Owner>();
  for (const table of await tablesOfTenants({ sql })) {
    const rows = await sql<{ id: string; tenant: string; userUuid: string | null }[]>`
      SELECT id::text, tenant, user_uuid FROM ${sql(table)}`;
    for (const { id, tenant, userUuid } of rows) owners.set(id, { tenant, userUuid });
  }
  const workers = await sql<{ id: string; tenant: string | null; userUuid: string | null }[]>`
    SELECT w.id::text, s.tenant, s.user_uuid FROM workers w LEFT JOIN sessions s ON s.worker_id = w.id`;
  for (const { id, tenant, userUuid } of workers) owners.set(id, { tenant, userUuid });
  const events = await sql<{ id: string; of: string }[]>`
    SELECT event_id::text AS id, substring(stream_id from '^[^-]+-(.*)$') AS of FROM events`;
  for (const { id, of } of events) {
    const owner = owners.get(of);
    if (owner !== undefined) owners.set(id, owner);
  }
  return owners;
}

/** Every table with the columns `id`, `tenant` and `user_uuid`. So a new table is included at once. */
async function tablesOfTenants({ sql }: Pick<TestDatabase, 'sql'>): Promise<string[]> {
  const rows = await sql<{ name: string }[]>`
    SELECT table_name AS name FROM information_schema.columns
    WHERE table_schema = 'public' AND column_name IN ('id', 'tenant', 'user_uuid')
    GROUP BY table_name HAVING count(*) = 3`;
  return rows.map(({ name }) => name);
}

// One tenant that makes the same calls, one at a time, on two databases, so that the answers can be compared.

/**
 * Fields whose answers depend on how far code has come, on the minute, or on when a worker was made. A worker may be
 * made before it has a session.
 */
const TIMED = new Set([
  ...['submit', 'interrupt', 'sendInput', 'resizeTerminal'],
  ...['quotas', 'workers'],
]);
const SEQUENCE_RELEASES = 0.2;
/** Times in filters are far from all others, so that it does not matter when a call is made. */
const FAR = ['2020-01-01T00:00:00Z', '2100-01-01T00:00:00Z'];

/** In an answer as text, the errors come last. */
const ERRORS = '"errors":';

interface Sequence {
  readonly seed: number;
  readonly count: number;
  readonly tenant: Tenant;
}

/** The answers to the calls, in order, without the parts that differ from run to run: ids, times and durations. */
export async function playAlone(
  db: TestDatabase,
  services: readonly Service[],
  { seed, count, tenant }: Sequence,
): Promise<string[]> {
  const { next: random } = createRandom(seed);
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
  const values = createTenantValues(random);
  const all = operationsOfSchema(schema, {
    random,
    valueOf: (name, type) => (type === 'DateTime' ? pick(FAR) : values.valueOf(name, type)),
  });
  const operations = all.filter(({ kind, field }) => kind !== 'subscription' && !TIMED.has(field));
  const compared = createComparison();
  const answers: string[] = [];
  while (answers.length < count) {
    const operation = pick(operations);
    if (operation.field === 'release' && random() > SEQUENCE_RELEASES) continue;
    const principal = pick(holdersOf(tenant));
    values.begin(tenant, operation.field);
    const asked = { service: pick(services), principal, operation, variables: operation.draw() };
    const text = await askSchema(asked, 0);
    values.learn(tenant, asked.variables, text);
    answers.push(`${operation.field}: ${compared(withoutRaces(text))}`);
    await settled(db, tenant);
  }
  return answers;
}

/** Resolves when all that the tenant has begun has ended, and the end is recorded. */
async function settled({ sql }: TestDatabase, tenant: Tenant): Promise<void> {
  await until(`${tenant} has nothing under way`, async () => {
    const rows = await sql`
      SELECT FROM executions WHERE tenant = ${tenant} AND finished_at IS NULL
      UNION ALL SELECT FROM workers w JOIN sessions s ON s.worker_id = w.id
      WHERE s.tenant = ${tenant} AND w.state IN ('RETIRED', 'LOST')`;
    return rows.length === 0;
  });
}

/**
 * The answer, without its errors if one of them is below the root. If several fields below one parent fail, GraphQL
 * reports only the error that comes first. Which one comes first is chance, since fields are read at the same time.
 */
function withoutRaces(text: string): string {
  const { errors } = JSON.parse(text) as { errors: readonly { path?: readonly unknown[] }[] };
  const isBelowRoot = errors.some(({ path = [] }) => path.length > 1);
  return isBelowRoot ? `${text.slice(0, text.lastIndexOf(ERRORS))}${ERRORS}below the root` : text;
}

/** Replaces parts that differ from run to run. Ids become numbers, in the order in which they come up. */
function createComparison() {
  const numbers = new Map<string, number>();
  return (text: string) => {
    return (
      text
        // Whether a call waits for a worker depends on others, and the other gateway may learn it a little later.
        .replace(/"PoolStatus_waitingRequests":\d+/g, '"PoolStatus_waitingRequests":W')
        // The gateway that made the worker holds it, and either gateway may have made it.
        .replace(/"Event_gatewayId":"[^"]*"/g, '"Event_gatewayId":"G"')
        .replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, (id) => {
          if (!numbers.has(id)) numbers.set(id, numbers.size);
          return `#${numbers.get(id)}`;
        })
        .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'T')
        .replace(/((?:queued|duration|run|ready|cpu)Ms":)[\d.]+/g, '$1N')
        .replace(/[0-9a-f]{64}/g, 'H')
        // Slots and these paths are chosen by chance.
        .replace(/"slot":\d+/g, '"slot":S')
        .replace(/"\/tmp\/[^"]*"/g, '"P"')
    );
  };
}
