/** Values that two tenants put into operations: their own, each other's, and values that exist nowhere. */
import { newId } from '../../src/process/newId.ts';
import { RAISE, SAY } from './programmedKernels.ts';
import { HOLD } from './programmedRuntime.ts';

export const TENANTS = ['red', 'blue'] as const;
export type Tenant = (typeof TENANTS)[number];

/** Users with the same names in both tenants. */
const SHARED_USERS = ['ann', 'ann-2', 'bob'] as const;
/** Types of the schema that have ids. */
const KINDS = ['Execution', 'Session', 'Worker', 'Context', 'Event'] as const;
/** The type whose id the argument `id` takes, by the field that has this argument. Default: an execution. */
const KINDS_OF_IDS: Readonly<Record<string, (typeof KINDS)[number]>> = {
  session: 'Session',
  worker: 'Worker',
  context: 'Context',
};
/** A further kind of remembered ids: those of executions that were requested with a terminal. */
const TERMINAL = 'Terminal';
/** As `operationsOfSchema.ts` names the fields. */
const ID_OF_KIND = /"(Execution|Session|Worker|Context|Event)_id":"([^"]+)"/g;
/** How many ids of each kind are remembered: those that were seen last. */
const REMEMBERED = 200;
const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;

/** Every text that a tenant writes contains this, in small or capital letters. So answers can be searched for it. */
export const markerOf = (tenant: Tenant) => `mk_${tenant}_`;
/** All code that a tenant sends contains this, too. */
export const CODE_MARK = 'code_';
export const uuidsIn = (text: string): string[] => text.match(UUID) ?? [];

export interface TenantValues {
  /** From now on, values are drawn for a call of this field by this tenant. */
  begin(tenant: Tenant, field: string): void;
  /** A value for an argument or input field. @throws Error for a name without an entry */
  valueOf(name: string, type: string): unknown;
  /** Remembers the ids in the answer to a call with these variables. Later calls of both tenants use them. */
  learn(tenant: Tenant, variables: Readonly<Record<string, unknown>>, answer: string): void;
}

export function createTenantValues(random: () => number): TenantValues {
  let tenant: Tenant = 'red';
  let field = '';
  let count = 0;
  const known = { red: createMemory(), blue: createMemory() };
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
  const whole = (min: number, max: number) => min + Math.floor(random() * (max - min + 1));
  const marked = (more = '') => {
    count += 1;
    return `${markerOf(tenant)}${more}${count}`;
  };
  /** Mostly an id that this tenant was shown, else one shown to the other tenant, or a new id. Few of another kind. */
  const idOf = (kind: string) => () => {
    const luck = random();
    if (luck > 0.95) return newId();
    const other: Tenant = tenant === 'red' ? 'blue' : 'red';
    const ids = known[luck < 0.65 ? tenant : other].of(random() < 0.95 ? kind : pick(KINDS));
    return ids.length > 0 ? pick(ids) : newId();
  };
  const code = () => {
    // Calls that wait for the end of code must not wait for code that is held.
    const held = field === 'submit' && random() < 0.2 ? [HOLD] : [];
    return pick([`${SAY}${marked(CODE_MARK)}`, marked(CODE_MARK), RAISE, ...held]);
  };
  const time = () => new Date(Date.now() - whole(-60_000, 120_000)).toISOString();
  const path = () => pick([marked(), `${marked()}/${marked()}`, '.', '/tmp']);
  const name = () => pick([marked().toUpperCase(), marked(), pick(['shared', 'other'])]);

  const values: Readonly<Record<string, (type: string) => unknown>> = {
    userUuid: () => pick([...SHARED_USERS, `${markerOf(tenant)}user`]),
    id: () => idOf(KINDS_OF_IDS[field] ?? 'Execution')(),
    executionId: () => idOf(field === 'resizeTerminal' ? TERMINAL : 'Execution')(),
    sessionId: idOf('Session'),
    workerId: idOf('Worker'),
    contextId: idOf('Context'),
    after: (type) => {
      if (type === 'Int') return whole(0, 3);
      if (field === 'sessionOutput') return `${idOf('Execution')()}:${whole(0, 3)}`;
      return random() < 0.8 ? idOf(pick(['Execution', 'Session']))() : String(whole(0, 2_000));
    },
    first: () => whole(1, 20),
    at: time,
    from: (type) => (type === 'DateTime' ? time() : path()),
    to: (type) => (type === 'DateTime' ? time() : path()),
    path,
    workingDirectory: path,
    ifMatch: () => `"${marked()}"`,
    depth: () => whole(1, 3),
    maxBytes: () => whole(1, 1_000),
    code,
    text: () => marked(),
    base64: () => Buffer.from(marked()).toString('base64'),
    name,
    value: () => pick(['1', marked()]),
    key: () => pick(['shared', marked()]),
    idempotencyKey: () => pick(['shared', marked()]),
    timeoutMs: () => whole(1_000, 10_000),
    waitForWorkerMs: () => whole(1_000, 20_000),
    idleTimeoutMs: () => whole(60_000, 120_000),
    maxLifeMs: () => whole(60_000, 120_000),
    egressAllow: () => [],
    lifeMs: () => whole(60_000, 120_000),
    offset: () => whole(0, 20),
    columns: () => whole(1, 200),
    rows: () => whole(1, 200),
    tenant: () => pick(TENANTS),
    userPrefix: () => pick(['an', markerOf(tenant)]),
    expiresAt: () => new Date(Date.now() + 3_600_000).toISOString(),
    formerValidMs: () => whole(0, 1_000),
    limit: () => whole(0, 5),
    version: () => whole(1, 3),
    apt: () => 'jq',
    pip: () => marked(),
    preload: () => 'json',
    index: () => 'https://index.example/simple/',
    setup: () => marked(),
    environment: name,
  };

  return {
    begin: (of, to) => {
      tenant = of;
      field = to;
    },
    valueOf: (of, type) => {
      const draw = values[of];
      if (draw === undefined)
        throw new Error(`test/support/tenantValues.ts has no values for ${of}: ${type}.`);
      return draw(type);
    },
    learn: (of, variables, answer) =>
      known[of].learn(answer, JSON.stringify(variables).includes('"pty":{')),
  };
}

/** The ids that a tenant was shown last, by the kind of the thing. */
function createMemory() {
  const kinds = new Map<string, Set<string>>();
  function remember(kind: string, id: string): void {
    const ids = kinds.get(kind) ?? new Set();
    kinds.set(kind, ids.add(id));
    const [oldest] = ids;
    if (ids.size > REMEMBERED && oldest !== undefined) ids.delete(oldest);
  }
  return {
    of: (kind: string) => [...(kinds.get(kind) ?? [])],
    learn: (answer: string, hasTerminal: boolean) => {
      for (const [, kind = '', id = ''] of answer.matchAll(ID_OF_KIND)) {
        remember(kind, id);
        if (kind === 'Execution' && hasTerminal) remember(TERMINAL, id);
      }
    },
  };
}
