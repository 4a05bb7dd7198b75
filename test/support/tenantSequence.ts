/** One tenant that makes the same calls, one at a time, in two worlds: what it is shown there can be compared. */
import { createRandom } from '../../chaos/random.ts';
import { schema } from '../../src/schema/index.ts';
import type { Service } from '../../src/service/service.ts';
import { until } from '../../testkit/until.ts';
import { askSchema } from './askSchema.ts';
import type { TestDatabase } from './database.ts';
import { operationsOfSchema } from './operationsOfSchema.ts';
import { holdersOf } from './tenantPlay.ts';
import { createTenantValues, type Tenant } from './tenantValues.ts';

/**
 * What they answer depends on how far code has come, on the minute, or on when a worker was made: that may be before it
 * had a session.
 */
const TIMED = new Set([
  ...['submit', 'interrupt', 'sendInput', 'resizeTerminal'],
  ...['quotas', 'workers'],
]);
const RELEASES = 0.2;
/** Times in filters are far from all others, so that it does not matter when a call is made. */
const FAR = ['2020-01-01T00:00:00Z', '2100-01-01T00:00:00Z'];

export interface Sequence {
  readonly seed: number;
  readonly count: number;
  readonly tenant: Tenant;
}

/** What the calls were answered, in order, without what differs from run to run: ids, times and durations. */
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
    if (operation.field === 'release' && random() > RELEASES) continue;
    const principal = pick(holdersOf(tenant));
    values.begin(tenant, operation.field);
    const asked = { service: pick(services), principal, operation, variables: operation.draw() };
    const text = await askSchema(asked, 0);
    values.learn(tenant, asked.variables, text);
    answers.push(`${operation.field}: ${compared(text)}`);
    await settled(db, tenant);
  }
  return answers;
}

/** All that the tenant has begun has ended, and is recorded. */
async function settled({ sql }: TestDatabase, tenant: Tenant): Promise<void> {
  await until(`${tenant} has nothing under way`, async () => {
    const rows = await sql`
      SELECT FROM executions WHERE tenant = ${tenant} AND finished_at IS NULL
      UNION ALL SELECT FROM workers w JOIN sessions s ON s.worker_id = w.id
      WHERE s.tenant = ${tenant} AND w.state IN ('RETIRED', 'LOST')`;
    return rows.length === 0;
  });
}

/** Ids are numbered in the order in which they come up. */
function createComparison() {
  const numbers = new Map<string, number>();
  return (text: string) => {
    return (
      text
        // Whether a call has to wait for a worker depends on others, and may be known a little later at the other gateway.
        .replace(/"PoolStatus_waitingRequests":\d+/g, '"PoolStatus_waitingRequests":W')
        // Whichever of the two has made the worker holds it.
        .replace(/"Event_gatewayId":"[^"]*"/g, '"Event_gatewayId":"G"')
        .replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, (id) => {
          if (!numbers.has(id)) numbers.set(id, numbers.size);
          return `#${numbers.get(id)}`;
        })
        .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'T')
        .replace(/((?:queued|duration|run|ready|cpu)Ms":)[\d.]+/g, '$1N')
        .replace(/[0-9a-f]{64}/g, 'H')
        // Chosen by chance.
        .replace(/"slot":\d+/g, '"slot":S')
        .replace(/"\/tmp\/[^"]*"/g, '"P"')
    );
  };
}
