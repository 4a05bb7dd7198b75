/** Two tenants that call everything at random, and the judge of what they are shown. */
import { createRandom } from '../../chaos/random.ts';
import { schema } from '../../src/schema/index.ts';
import { AUTH_TOKEN_HOLDER, type Principal, sees } from '../../src/service/principal.ts';
import type { Service } from '../../src/service/service.ts';
import { askSchema } from './askSchema.ts';
import type { TestDatabase } from './database.ts';
import { operationsOfSchema } from './operationsOfSchema.ts';
import { type Owner, readOwners } from './owners.ts';
import {
  CODE_MARK,
  createTenantValues,
  markerOf,
  TENANTS,
  type Tenant,
  uuidsIn,
} from './tenantValues.ts';

const CALLERS_AT_ONCE = 12;
/** Answers are judged in batches, against all that is recorded by then. */
const BATCH = 500;
/** How long a subscription is read. */
const FOLLOW_MS = 20;
/** Each release costs a worker, which takes longer than anything else. */
const RELEASES = 0.1;
/** A call of the rarest field is answered without an error once in some tens of times. */
const MAX_FURTHER_CALLS = 1_000;

export interface Play {
  readonly seed: number;
  readonly count: number;
  readonly services: readonly Service[];
  readonly tenants?: readonly Tenant[];
  /** The only field that is called. Default: all are. */
  readonly only?: string;
  /** Fields that are called further, after the others, until each was answered without an error. */
  readonly until?: readonly string[];
}

export interface Played {
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

/** Lets the tenants call, at these gateways and at the same time, so many times together. */
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
      // What the field needs may have to be made first.
      await call();
      await call(operation);
    }
  }

  await Promise.all(Array.from({ length: CALLERS_AT_ONCE }, caller));
  for (const field of plan.until ?? []) await callFurther(field);
  await judge();
  return { problems, answered };
}

/** What an answer shows that it must not. Null: nothing. What the caller has sent itself may come back. */
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
