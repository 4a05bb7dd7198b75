/**
 * Checks every event against the audit chain, and the chain against heads that are known outside of the database. It
 * changes nothing, and may run while gateways serve.
 */
import { createHash } from 'node:crypto';
import type { AuditHead } from '../../domain/auditHead.ts';
import { REMOVAL_TYPES } from '../../domain/removal.ts';
import { type DatabaseAddress, onOneConnection, type Sql } from '../connection/client.ts';
import { requireTables } from '../migrations/migrate.ts';

// The hashes of the audit chain, as `migrations/sql/cellhouse_seal.sql` defines them. They are computed here again,
// because somebody who changes events could also change the functions of the database.

/** The columns of an event, each as the text that PostgreSQL makes of it. */
export interface EventText {
  readonly position: number;
  readonly eventId: string;
  readonly streamId: string;
  readonly version: string;
  readonly type: string;
  readonly schemaVersion: string;
  /** Seconds since 1970, with decimals. */
  readonly recordedAt: string;
  readonly metadata: string;
  readonly data: string;
}

export function leafOf(salt: Uint8Array, event: EventText): Buffer {
  return createHash('sha256').update(salt).update(leafText(event)).digest();
}

function leafText(event: EventText): string {
  const { position, eventId, streamId, version, type, schemaVersion, metadata, data } = event;
  const recordedAt = millisecondsOf(event.recordedAt);
  return `${position}\n${eventId}\n${streamId}\n${version}\n${type}\n${schemaVersion}\n${recordedAt}\n${metadata}\n${data}`;
}

/** Whole milliseconds as digits, because a JavaScript number cannot hold every one of PostgreSQL's times. */
function millisecondsOf(seconds: string): string {
  const [, sign = '', whole = '', decimals = ''] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(seconds) ?? [];
  // Infinity has no digits.
  if (whole === '') return seconds;
  const digits = `${whole}${decimals.padEnd(3, '0').slice(0, 3)}`.replace(/^0+(?=\d)/, '');
  return digits === '0' ? digits : `${sign}${digits}`;
}

/** The head at position 0. */
function firstHead(chainId: string): Buffer {
  return createHash('sha256').update(`cellhouse chain 1${chainId}`).digest();
}

/** The head after the link of one more event. */
function nextHead(head: Uint8Array, position: number, leaf: Uint8Array): Buffer {
  return createHash('sha256').update(head).update(bigEndian(position)).update(leaf).digest();
}

/** Used in a digest instead of the leaf of a deleted event. */
const NOTHING_LEFT = Buffer.alloc(32);

/**
 * The digest of a removal: a hash over the positions of the removed events, in order. After each position comes the
 * leaf of the event with the content that it still has.
 */
export function createRemovalDigest() {
  const digest = createHash('sha256');
  return {
    /** @param leaf null if the event is deleted */
    add: (position: number, leaf: Uint8Array | null) => {
      digest.update(bigEndian(position)).update(leaf ?? NOTHING_LEFT);
    },
    /** In hexadecimal. To be called once. */
    end: () => digest.digest('hex'),
  };
}

function bigEndian(position: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(BigInt(position));
  return bytes;
}

// What `verifyChain` reads, all of it from one snapshot. Nothing here calls a function of this project's schema, which
// the role of the gateways could replace.

/** Links of one page. With their events, at 1 MiB of code each, they are 100 MiB in memory. */
const PAGE_LINKS = 100;
/** How many events without a link are named. */
const NAMED_EVENTS = 100;

interface ChainLink {
  readonly position: number;
  readonly leaf: Buffer;
  readonly salt: Buffer | null;
  /** Null if the event is missing. */
  readonly event: EventText | null;
}

/**
 * The end of the chain, as the database records it. `openDay` is null until the chain has sealed every existing event
 * for the first time.
 */
interface ChainEnd {
  readonly chainId: string;
  readonly position: number;
  readonly head: string;
  readonly openDay: string | null;
}

async function readChainEnd(sql: Sql): Promise<ChainEnd | null> {
  const [end] = await sql<ChainEnd[]>`
    SELECT chain_id, position, encode(head, 'hex') AS head, open_day::text FROM chain_head`;
  return end ?? null;
}

async function readDays(sql: Sql, chainId: string): Promise<AuditHead[]> {
  return await sql<AuditHead[]>`
    SELECT ${chainId}::text AS chain_id, day::text, position, encode(head, 'hex') AS head
    FROM chain_days ORDER BY position, day`;
}

/**
 * All links in order, page by page. The caller must run all of it in one transaction, because it reads from a cursor.
 */
async function* readLinks(sql: Sql): AsyncGenerator<ChainLink[]> {
  await sql`
    DECLARE links NO SCROLL CURSOR FOR
    SELECT l.position, l.leaf, l.salt, e.event_id::text, e.stream_id, e.version::text, e.type, e.schema_version::text,
      extract(epoch FROM e.recorded_at)::text AS recorded_at, e.metadata::text, e.data::text
    FROM event_links l LEFT JOIN events e ON e.position = l.position ORDER BY l.position`;
  for (;;) {
    const rows = await sql.unsafe<LinkRow[]>(`FETCH ${PAGE_LINKS} FROM links`);
    if (rows.length === 0) return;
    yield rows.map(({ leaf, salt, ...event }) => {
      const { position, eventId } = event;
      return { position, leaf, salt, event: eventId === null ? null : (event as EventText) };
    });
  }
}

type LinkRow = Omit<EventText, 'eventId'> & {
  readonly eventId: string | null;
  readonly leaf: Buffer;
  readonly salt: Buffer | null;
};

/** An event that a removal has deleted or emptied. */
interface EventRemoval {
  readonly position: number;
  readonly removalId: string;
  /** The leaf of the event with the content that it still has. Null: the event was deleted. */
  readonly leaf: Buffer | null;
}

/** Removals of the events of one page, in order of positions. */
async function readEventRemovals(sql: Sql, first: number, last: number): Promise<EventRemoval[]> {
  return await sql<EventRemoval[]>`
    SELECT position, removal_id::text, leaf FROM event_removals
    WHERE position BETWEEN ${first} AND ${last} ORDER BY position, removal_id`;
}

/** The data of each unsealed event that records a removal, as text. */
async function readUnsealedRemovals(sql: Sql, headPosition: number): Promise<string[]> {
  const rows = await sql<{ data: string }[]>`
    SELECT data::text AS data FROM events WHERE position > ${headPosition} AND type = ANY (${[...REMOVAL_TYPES]}::text[])`;
  return rows.map(({ data }) => data);
}

interface Unlinked {
  /** Events without a link at positions up to the head, in order: at most NAMED_EVENTS. */
  readonly inserted: readonly { readonly position: number; readonly type: string }[];
  /** How many events are after the head. */
  readonly unsealed: number;
}

/** Events without a link. */
async function readUnlinked(sql: Sql, headPosition: number): Promise<Unlinked> {
  const inserted = await sql<{ position: number; type: string }[]>`
    SELECT e.position, e.type FROM events e LEFT JOIN event_links l ON l.position = e.position
    WHERE e.position <= ${headPosition} AND l.position IS NULL ORDER BY e.position LIMIT ${NAMED_EVENTS}`;
  const [above] = await sql<{ unsealed: number }[]>`
    SELECT count(*) AS unsealed FROM events WHERE position > ${headPosition}`;
  return { inserted, unsealed: above?.unsealed ?? 0 };
}

// Compares the heads that are computed from the links with all heads that are known, in one pass.

interface HeadCheckDeps {
  readonly end: ChainEnd;
  /** The heads of closed days in the database, in order of positions. */
  readonly days: readonly AuditHead[];
  /** The heads that are known outside of the database. */
  readonly outside: readonly AuditHead[];
  readonly add: (finding: string) => void;
}

interface HeadCheck {
  /** The head over all links so far. */
  head(): Buffer;
  /** Call this for each link, before {@link HeadCheck.after}. */
  before(position: number): void;
  /** Takes the head that includes the link at `position`. */
  after(position: number, head: Buffer): void;
  /** Call this after the last link. */
  end(): void;
}

function createHeadCheck({ end, days, outside, add }: HeadCheckDeps): HeadCheck {
  const known = createKnown(days, outside);
  /** Events up to this position may have been deleted before the chain existed, so missing links are no finding. */
  const start = end.openDay === null ? end.position : (days[0]?.position ?? 0);
  let head = firstHead(end.chainId);
  let last = 0;

  function compare(): void {
    const { fromDatabase, fromOutside } = known.at(last);
    const computed = head.toString('hex');
    for (const day of fromDatabase) {
      if (day.head === computed) continue;
      add(`The links up to ${nameOf(day)} are not those over which the day was closed.`);
      // Goes on from the recorded head, so that this difference is not reported again for each later day.
      head = Buffer.from(day.head, 'hex');
    }
    for (const given of fromOutside) {
      const isReported = fromDatabase.some(
        (day) => day.day === given.day && day.head === given.head,
      );
      if (given.head !== computed && !isReported)
        add(`The history up to ${nameOf(given)} is not the one whose head was noted outside.`);
      if (!fromDatabase.some(({ day }) => day === given.day))
        add(`The database does not have the day ${given.day}, whose head was noted outside.`);
    }
  }

  for (const given of outside)
    if (given.chainId !== end.chainId)
      add(`The head of ${given.day} is of another chain (${given.chainId}).`);
  compare();
  return {
    head: () => head,
    before: (position) => {
      if (position <= start || position === last + 1) return;
      const gone =
        last + 1 === position - 1
          ? `Link ${last + 1} is missing, with what it stood for.`
          : `Links ${last + 1} to ${position - 1} are missing, with what they stood for.`;
      add(gone);
    },
    after: (position, next) => {
      head = next;
      last = position;
      compare();
    },
    end: () => {
      for (const day of known.rest())
        add(`${nameOf(day)} is at a position without a link: cut off.`);
      if (last !== end.position || head.toString('hex') !== end.head)
        add(
          `The head of the database, at ${end.position}, is not that of its links, which end at ${last}.`,
        );
    },
  };
}

const nameOf = ({ day, position }: AuditHead) =>
  `${day === '-infinity' ? 'the beginning of the chain' : day} (position ${position})`;

/** The known heads by their position. `rest` returns the heads whose positions were never asked for. */
function createKnown(days: readonly AuditHead[], outside: readonly AuditHead[]) {
  const byPosition = new Map<number, { fromDatabase: AuditHead[]; fromOutside: AuditHead[] }>();
  const entry = (position: number) => {
    const found = byPosition.get(position) ?? { fromDatabase: [], fromOutside: [] };
    byPosition.set(position, found);
    return found;
  };
  for (const day of days) entry(day.position).fromDatabase.push(day);
  for (const day of outside) entry(day.position).fromOutside.push(day);
  return {
    at: (position: number) => {
      const found = byPosition.get(position) ?? { fromDatabase: [], fromOutside: [] };
      byPosition.delete(position);
      return found;
    },
    rest: () =>
      [...byPosition.values()].flatMap((each) => [...each.fromDatabase, ...each.fromOutside]),
  };
}

// Checks that each removal has deleted or emptied exactly what its event says.

interface RemovalCheck {
  /** Counts the removals of a page of events, in order. Returns them by their positions. */
  take(removals: readonly EventRemoval[]): ReadonlyMap<number, readonly EventRemoval[]>;
  /** Notes what an event HistoryPruned or DataForgotten says. `data` is its data as JSON. */
  learn(data: string): void;
  /** Compares what was counted with what the events say. Call this after the last event. */
  end(): void;
}

function createRemovalCheck(add: (finding: string) => void): RemovalCheck {
  const found = new Map<string, ReturnType<typeof countedDigest>>();
  const recorded = new Map<string, { readonly events: number; readonly digest: string }>();

  function count(removal: EventRemoval): void {
    const counted = found.get(removal.removalId) ?? countedDigest();
    found.set(removal.removalId, counted);
    counted.add(removal);
  }

  return {
    take: (removals) => {
      const byPosition = new Map<number, EventRemoval[]>();
      for (const removal of removals) {
        count(removal);
        const { position } = removal;
        byPosition.set(position, [...(byPosition.get(position) ?? []), removal]);
      }
      return byPosition;
    },
    learn: (data) => {
      const { removalId, events, digest } = JSON.parse(data) as Recorded;
      recorded.set(removalId, { events, digest });
    },
    end: () => {
      for (const id of found.keys())
        if (!recorded.has(id)) add(`The removal ${id} was forged: no event says so.`);
      for (const [id, { events, digest }] of recorded) {
        const { events: rows, digest: made } = found.get(id)?.end() ?? countedDigest().end();
        if (rows !== events || made !== digest)
          add(
            `The removal ${id} has deleted or emptied ${events} events, but ${rows} are noted for it, or others.`,
          );
      }
    },
  };
}

interface Recorded {
  readonly removalId: string;
  readonly events: number;
  readonly digest: string;
}

function countedDigest() {
  const digest = createRemovalDigest();
  let events = 0;
  return {
    add: ({ position, leaf }: EventRemoval) => {
      events += 1;
      digest.add(position, leaf);
    },
    end: () => ({ events, digest: digest.end() }),
  };
}

/** Further findings are only counted. */
const MAX_FINDINGS = 1_000;

export interface Verified {
  /** Null: this database has no chain yet. */
  readonly chainId: string | null;
  /** The position of the last event that the chain has. */
  readonly position: number;
  /** How many events were compared with their links. */
  readonly events: number;
  /** How many events the chain does not have yet. Nobody can tell whether these were changed. */
  readonly unsealed: number;
  /** How many heads from outside of the database were compared. */
  readonly outsideHeads: number;
  /** One sentence each, for the operator: at most 1,000. */
  readonly findings: readonly string[];
  /** The number of all findings. 0: as far as the heads show, nobody has changed, removed or inserted an event. */
  readonly findingCount: number;
}

/**
 * @param outside heads of this chain from a gateway's file or log
 * @throws Error when the database is away, or has no tables of Cellhouse yet
 */
export async function verifyChain(
  address: DatabaseAddress,
  outside: readonly AuditHead[],
): Promise<Verified> {
  const client = { name: 'verify', statementTimeoutMs: 0 };
  return await onOneConnection(address, client, ({ transaction }) =>
    transaction((sql) => verify(sql, outside), 'ISOLATION LEVEL REPEATABLE READ READ ONLY'),
  );
}

function createFindings() {
  const findings: string[] = [];
  let findingCount = 0;
  return {
    add: (finding: string) => {
      findingCount += 1;
      if (findings.length < MAX_FINDINGS) findings.push(finding);
    },
    all: () => ({ findings, findingCount }),
  };
}

async function verify(sql: Sql, outside: readonly AuditHead[]): Promise<Verified> {
  // This process may be slow, and no other transaction waits for this one.
  await sql`SET LOCAL idle_in_transaction_session_timeout = 0`;
  await requireTables(sql);
  const { add, all } = createFindings();
  const end = await readChainEnd(sql);
  if (end === null) {
    const { unsealed } = await readUnlinked(sql, 0);
    if (outside.length > 0) add('The database has no chain, although there are heads of one.');
    return { chainId: null, position: 0, events: 0, unsealed, outsideHeads: 0, ...all() };
  }
  const heads = createHeadCheck({ end, days: await readDays(sql, end.chainId), outside, add });
  const removals = createRemovalCheck(add);
  let events = 0;
  for await (const links of readLinks(sql)) {
    const [first, last] = [links[0]?.position ?? 0, links.at(-1)?.position ?? 0];
    const removed = removals.take(await readEventRemovals(sql, first, last));
    for (const link of links) {
      heads.before(link.position);
      const problem = problemOf(link, removed.get(link.position) ?? []);
      if (problem !== null) add(`Event ${link.position} ${problem}.`);
      else if (link.event && isRemoval(link.event)) removals.learn(link.event.data);
      heads.after(link.position, nextHead(heads.head(), link.position, link.leaf));
    }
    events += links.length;
  }
  heads.end();
  for (const data of await readUnsealedRemovals(sql, end.position)) removals.learn(data);
  removals.end();
  const { inserted, unsealed } = await readUnlinked(sql, end.position);
  for (const { position, type } of inserted)
    add(`Event ${position} (${type}) was inserted: the chain does not have it.`);
  const { chainId, position } = end;
  return { chainId, position, events, unsealed, outsideHeads: outside.length, ...all() };
}

function isRemoval({ type }: EventText): boolean {
  return REMOVAL_TYPES.some((each) => each === type);
}

/**
 * The problem of an event: the end of a sentence that begins with "Event 5". Null if the event is unchanged since it
 * was sealed, or was removed as recorded.
 */
function problemOf(
  { leaf, salt, event }: ChainLink,
  removals: readonly EventRemoval[],
): string | null {
  const isDeleted = removals.some((removal) => removal.leaf === null);
  if (event === null) return isDeleted ? null : 'was removed';
  if (isDeleted) return `(${event.type}) is there, although it was pruned`;
  if (salt === null) return 'is there, although its salt was deleted: it cannot be checked';
  const found = leafOf(salt, event);
  const expected = removals.length === 0 ? [leaf] : removals.map((removal) => removal.leaf);
  return expected.some((each) => each !== null && found.equals(each))
    ? null
    : `(${event.type}) was changed`;
}
