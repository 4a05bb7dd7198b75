/**
 * The calls that wait for a worker at all gateways: how many, and whose. Each gateway writes the calls that wait there
 * into a row of its own. Only the rows of live gateways count.
 */
import type { Logger } from 'pino';
import { pause } from '../../async/pause.ts';
import { sharedRun } from '../../async/sharedRun.ts';
import { messageOf } from '../../domain/errors.ts';
import type { WaitingHere, WaitingPlace } from '../../domain/poolStatus.ts';
import type { Client } from '../connection/client.ts';
import type { Leases } from '../leases/leases.ts';
import { CHANNEL, type WakeUps } from './wakeUps.ts';

export interface WaitingRequests {
  /**
   * Reports that the calls which wait here have changed. Other gateways learn of it a little later. `read` must return
   * the calls that wait at the time when it is called.
   */
  set(read: () => WaitingHere): void;
  /** Publishes the calls that wait here without the usual delay, because this gateway cannot serve them at once. */
  tellNow(): void;
  /**
   * How many calls wait at all live gateways together.
   * @param tenant counts only the calls of this tenant
   */
  total(tenant?: string): Promise<number>;
  /** The users who wait at other live gateways. They are read from the database only if they may have changed. */
  elsewhere(): Promise<readonly WaitingPlace[]>;
  /** Reports that this user has a session now, and so no longer waits at any gateway. */
  served(user: string): void;
}

interface WaitingRequestsDeps {
  readonly client: Client;
  readonly gatewayId: string;
  readonly leases: Pick<Leases, 'announce'>;
  readonly onWaiting: WakeUps['onWaiting'];
  readonly logger: Logger;
}

/** Most calls get a worker sooner than this, and so never have to be published. Also the pause between two writes. */
const TELL_DELAY_MS = 100;
const RETRY_DELAY_MS = 1_000;

export function createWaitingRequests(
  deps: WaitingRequestsDeps,
): WaitingRequests & { close(): Promise<void> } {
  const { client, gatewayId } = deps;
  let read: () => WaitingHere = () => ({ calls: new Map(), places: [] });
  const telling = createTelling(deps, () => read());
  const others = createOthers(client, gatewayId);
  const off = deps.onWaiting((change) => {
    const matters = others.areKnown || read().places.length > 0;
    if (change === 'changed' || matters) others.mayHaveChanged();
  });
  return {
    set: (now) => {
      read = now;
      telling.tell();
    },
    tellNow: telling.hurry,
    total: async (tenant) => {
      const elsewhere = callsOf(await readElsewhere(client, gatewayId), tenant);
      const { calls } = read();
      return elsewhere + (tenant === undefined ? countOf(calls) : (calls.get(tenant) ?? 0));
    },
    elsewhere: others.read,
    served: others.served,
    close: async () => {
      off();
      await telling.close();
    },
  };
}

/** Writes the calls that wait here, as of the time of writing, at most once every TELL_DELAY_MS. */
function createTelling(
  { client, gatewayId, leases, logger }: WaitingRequestsDeps,
  read: () => WaitingHere,
) {
  const closing = new AbortController();
  let first = new AbortController();
  let hasChanged = false;
  /** The published text. Null at first: if this gateway was killed before, its row may contain anything. */
  let published: string | null = null;
  let telling: Promise<void> | null = null;

  async function tellOthers(): Promise<void> {
    await pause(TELL_DELAY_MS, first.signal);
    while (hasChanged && !closing.signal.aborted) {
      hasChanged = false;
      const here = read();
      const tenants = JSON.stringify(encodeWaiting(here));
      if (tenants === published) continue;
      try {
        if (here.calls.size > 0) await leases.announce();
        await writeWaiting(client, gatewayId, countOf(here.calls), tenants);
        published = tenants;
        await pause(TELL_DELAY_MS, closing.signal);
      } catch (error: unknown) {
        hasChanged = true;
        const message = 'could not tell other gateways which calls wait here; trying again';
        logger.warn({ error: messageOf(error) }, message);
        await pause(RETRY_DELAY_MS, closing.signal);
      }
    }
  }

  function begin(): void {
    if (!hasChanged || closing.signal.aborted) return;
    if (telling !== null) return;
    first = new AbortController();
    telling = tellOthers().finally(() => {
      telling = null;
      begin();
    });
  }

  function tell(): void {
    hasChanged = true;
    begin();
  }

  tell();
  return {
    tell,
    hurry: () => first.abort(),
    close: async () => {
      closing.abort();
      first.abort();
      await telling;
    },
  };
}

/** The users who wait at other gateways: a copy in memory, which is read again when the rows may have changed. */
function createOthers(client: Client, gatewayId: string) {
  let known: readonly WaitingPlace[] = [];
  let isStale = true;
  let latest: Promise<void> = Promise.resolve();
  /** The users that were served since the running read began. Null: no read is running. */
  let servedMeanwhile: Set<string> | null = null;

  const readAgain = sharedRun(async () => {
    isStale = false;
    const served = new Set<string>();
    servedMeanwhile = served;
    try {
      const found = (await readElsewhere(client, gatewayId)).flatMap(decodeWaiting);
      known = found.filter(({ user }) => !served.has(user));
    } catch (error: unknown) {
      isStale = true;
      throw error;
    } finally {
      servedMeanwhile = null;
    }
  });

  return {
    get areKnown() {
      return known.length > 0;
    },
    mayHaveChanged: () => {
      isStale = true;
    },
    read: async () => {
      if (isStale) latest = readAgain();
      await latest;
      return known;
    },
    served: (user: string) => {
      servedMeanwhile?.add(user);
      if (known.length > 0) known = known.filter((place) => place.user !== user);
    },
  };
}

function countOf(calls: WaitingHere['calls']): number {
  return [...calls.values()].reduce((sum, count) => sum + count, 0);
}

function callsOf(rows: readonly StoredWaiting[], tenant?: string): number {
  const entries = rows.flatMap((tenants) => Object.entries(tenants));
  const counted = entries.filter(([name]) => tenant === undefined || name === tenant);
  return counted.reduce((sum, [, { calls }]) => sum + calls, 0);
}

async function writeWaiting(
  { sql, answered }: Client,
  gatewayId: string,
  count: number,
  tenants: string,
): Promise<void> {
  const notification = JSON.stringify({ g: gatewayId, p: 0, x: [], s: [], w: true });
  // A gateway without a row has no waiting calls. So a process that opens the database only for a moment leaves no row.
  const written =
    count === 0
      ? sql`UPDATE waiting_requests SET count = 0, tenants = ${tenants}::text::jsonb
          WHERE gateway_id = ${gatewayId} RETURNING gateway_id`
      : sql`INSERT INTO waiting_requests (gateway_id, count, tenants)
          VALUES (${gatewayId}, ${count}, ${tenants}::text::jsonb)
          ON CONFLICT (gateway_id) DO UPDATE SET count = excluded.count, tenants = excluded.tenants
          RETURNING gateway_id`;
  await answered(sql`
    WITH written AS (${written})
    SELECT pg_notify(${CHANNEL}, ${notification}) FROM written`);
}

async function readElsewhere(
  { sql, answered }: Client,
  gatewayId: string,
): Promise<StoredWaiting[]> {
  const rows = await answered(sql<{ tenants: StoredWaiting }[]>`
    SELECT w.tenants FROM waiting_requests w
    JOIN leases l ON l.name = 'gateway-' || w.gateway_id AND l.expires_at > clock_timestamp()
    WHERE w.gateway_id <> ${gatewayId} AND w.count > 0`);
  return rows.map(({ tenants }) => tenants);
}

// The format in which a gateway's row of `waiting_requests` says who waits there.

/** The hash of the user, the time since which the user waits, and the name of the environment, if there is one. */
type StoredPlace = readonly [string, number] | readonly [string, number, string];

/** By tenant: how many calls wait, and the places of their users. */
type StoredWaiting = Readonly<
  Record<string, { readonly calls: number; readonly places: readonly StoredPlace[] }>
>;

function encodeWaiting({ calls, places }: WaitingHere): StoredWaiting {
  const placesOf = new Map<string, StoredPlace[]>();
  for (const { tenant, user, since, environment } of places) {
    const place: StoredPlace = environment === null ? [user, since] : [user, since, environment];
    placesOf.set(tenant, [...(placesOf.get(tenant) ?? []), place]);
  }
  return Object.fromEntries(
    [...calls].map(([tenant, count]) => [
      tenant,
      { calls: count, places: placesOf.get(tenant) ?? [] },
    ]),
  );
}

function decodeWaiting(tenants: StoredWaiting): WaitingPlace[] {
  return Object.entries(tenants).flatMap(([tenant, { places }]) =>
    places.map(([user, since, environment = null]) => ({ tenant, user, since, environment })),
  );
}
