/**
 * The only path for connections from code to hosts. It turns a requested target into a connected socket.
 *
 * ```
 *  asked --listed?--> recorded --> resolved once --every address allowed?--> dialled in turn --> socket
 * ```
 */

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { withAbort } from '../async/withAbort.ts';
import type { Config } from '../config/config.ts';
import {
  type Address,
  addressText,
  type EgressRule,
  embeddedIn,
  hostText,
  isListed,
  mayDial,
  parseAddress,
  parseRules,
  type Target,
} from '../domain/egress.ts';
import type { Session } from '../domain/session.ts';
import type { Lookup } from './createLookup.ts';
import {
  EgressRefusal,
  failedToReach,
  type Lister,
  notListed,
  privateAddress,
  tooMany,
} from './egressRefusal.ts';
import type { Traffic } from './traffic.ts';

/** The session whose code opens the connection. */
export type EgressSession = Pick<Session, 'id' | 'tenant' | 'egressAllow'>;

interface DialDeps {
  readonly config: Pick<
    Config,
    | 'egressAllow'
    | 'tenantEgressAllow'
    | 'egressMaxTotalConnections'
    | 'egressMaxTenantConnections'
    | 'egressConnectTimeoutMs'
  >;
  readonly lookup: Lookup;
  readonly traffic: Traffic;
}

/**
 * Opens a connection to the target. Its bytes are counted until it closes.
 * @param gone aborted when nobody wants the connection any more
 * @throws EgressRefusal; the reason of `gone`; the database's error; ConnectTimeoutError if the database is too slow
 */
export type Dial = (session: EgressSession, target: Target, gone: AbortSignal) => Promise<Socket>;

export function createDial({ config, lookup, traffic }: DialDeps): Dial {
  const places = createPlaces(config);

  async function reach(session: EgressSession, target: Target, signal: AbortSignal) {
    const addresses = await addressesOf(session, target, signal);
    const dialled = addresses.map((address) => ({ address, isOwn: isOwnAddress(address) }));
    for (const { by, rules } of listsOf(config, session))
      if (
        !dialled.every(({ address, isOwn }) =>
          mayDial(rules, address, { port: target.port, isOwn }),
        )
      )
        throw privateAddress(target, by);
    return await connectToOne(target, addresses, config.egressConnectTimeoutMs, signal);
  }

  async function addressesOf({ id }: EgressSession, target: Target, signal: AbortSignal) {
    const { host } = target;
    if (host.kind === 'address') return [host.address];
    try {
      const found = await lookup(host.name, id, signal);
      if (found.length > 0) return found;
    } catch (error: unknown) {
      if (error instanceof EgressRefusal) throw error;
      throw reasonOf(signal, target) ?? failedToReach(target, 'unresolved', error);
    }
    throw failedToReach(target, 'unresolved');
  }

  async function dialListed(session: EgressSession, target: Target, gone: AbortSignal) {
    const key = { sessionId: session.id, host: hostText(target), port: target.port } as const;
    return await withAbort(gone, async (own) => {
      const late = () => own.abort(new ConnectTimeoutError('EGRESS_CONNECT_TIMEOUT_MS is over.'));
      const timer = setTimeout(late, config.egressConnectTimeoutMs);
      try {
        await unlessAborted(traffic.begin({ ...key, outcome: 'allowed' }, own.signal), own.signal);
        const socket = await reach(session, target, own.signal);
        traffic.follow({ ...key, outcome: 'allowed' }, socket);
        return socket;
      } finally {
        clearTimeout(timer);
      }
    });
  }

  return async (session, target, gone) => {
    for (const { by, rules } of listsOf(config, session))
      if (!isListed(rules, target)) throw notListed(target, by);
    const leave = places.take(session.tenant);
    try {
      const socket = await dialListed(session, target, gone);
      socket.once('close', leave);
      return socket;
    } catch (error: unknown) {
      leave();
      throw error;
    }
  };
}

interface List {
  readonly by: Lister;
  readonly rules: readonly EgressRule[];
}

/** The lists that apply to the session. Each of them must allow the target and all of its addresses. */
function listsOf(
  { egressAllow, tenantEgressAllow }: DialDeps['config'],
  session: EgressSession,
): readonly List[] {
  const lists: List[] = [{ by: 'installation', rules: egressAllow }];
  const ofTenant = tenantEgressAllow.get(session.tenant);
  if (ofTenant) lists.push({ by: 'tenant', rules: ofTenant });
  if (session.egressAllow !== null)
    lists.push({ by: 'session', rules: rulesOf(session.egressAllow) });
  return lists;
}

/**
 * Parses the session's rules, which were checked when the session was opened. Rules that fail to parse allow nothing.
 */
function rulesOf(texts: readonly string[]): readonly EgressRule[] {
  return parseRules(texts.join(' ')) ?? [];
}

async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  work.catch(() => undefined);
  return await Promise.race([
    work,
    new Promise<never>((_, reject) => {
      if (signal.aborted) reject(signal.reason);
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    }),
  ]);
}

/** Limits the connections of this gateway, in total and of each tenant. */
interface Places {
  /**
   * Takes a place for a connection. Returns the function that frees the place. It must be called once.
   * @throws EgressRefusal if no place is free
   */
  take(tenant: string): () => void;
}

function createPlaces(
  config: Pick<Config, 'egressMaxTotalConnections' | 'egressMaxTenantConnections'>,
): Places {
  let taken = 0;
  const ofTenants = new Map<string, number>();

  function add(tenant: string, by: 1 | -1): void {
    taken += by;
    const own = (ofTenants.get(tenant) ?? 0) + by;
    if (own === 0) ofTenants.delete(tenant);
    else ofTenants.set(tenant, own);
  }

  function requireBelow(limit: number | null, used: number, name: string): void {
    if (limit !== null && used >= limit)
      throw tooMany(`All connections that ${name} allows are in use. Try again later.`);
  }

  return {
    take: (tenant) => {
      const own = ofTenants.get(tenant) ?? 0;
      requireBelow(config.egressMaxTenantConnections, own, 'EGRESS_MAX_TENANT_CONNECTIONS');
      requireBelow(config.egressMaxTotalConnections, taken, 'EGRESS_MAX_TOTAL_CONNECTIONS');
      add(tenant, 1);
      return () => add(tenant, -1);
    },
  };
}

/**
 * Whether packets to the address reach this machine, directly or through a translator or tunnel. This matters because
 * services of the machine may trust connections from it.
 */
export function isOwnAddress(address: Address): boolean {
  const text = addressText(embeddedIn(address) ?? address);
  return Object.values(networkInterfaces())
    .flatMap((all) => all ?? [])
    .some((own) => {
      const parsed = parseAddress(own.address.replace(/%.*$/, ''));
      return parsed !== null && addressText(parsed) === text;
    });
}

// Connects to one of the addresses of a target.

/** How many addresses of one name are tried. */
const MAX_ADDRESSES = 6;

/**
 * Tries each address for an equal share of the time. IPv4 addresses come first, because a machine without a working
 * IPv6 route may silently lose packets.
 */
async function connectToOne(
  target: Target,
  addresses: readonly Address[],
  limitMs: number,
  signal: AbortSignal,
): Promise<Socket> {
  const tried = [...addresses].sort((a, b) => a.family - b.family).slice(0, MAX_ADDRESSES);
  let last: unknown;
  for (const address of tried) {
    try {
      return await connectTo(address, target.port, limitMs / tried.length, signal);
    } catch (error: unknown) {
      last = error;
    }
    if (signal.aborted) break;
  }
  const isLate = last instanceof ConnectTimeoutError;
  throw (
    reasonOf(signal, target) ?? failedToReach(target, isLate ? 'timed-out' : 'unreachable', last)
  );
}

/** The time to record, resolve and connect, or to connect to one address, is over. */
class ConnectTimeoutError extends Error {}

/** The error to throw if the signal was aborted. Null: it was not aborted. */
function reasonOf({ aborted, reason }: AbortSignal, target: Target): unknown {
  if (!aborted) return null;
  return reason instanceof ConnectTimeoutError
    ? failedToReach(target, 'timed-out', reason)
    : reason;
}

async function connectTo(
  address: Address,
  port: number,
  limitMs: number,
  signal: AbortSignal,
): Promise<Socket> {
  const { family } = address;
  // Always an address, never a name. A name would be resolved again, perhaps to an address that is not allowed.
  const socket = connect({ host: addressText(address), port, family, allowHalfOpen: true });
  socket.setNoDelay(true);
  const timer = setTimeout(() => socket.destroy(new ConnectTimeoutError()), limitMs);
  try {
    await once(socket, 'connect', { signal });
    // The user of the socket learns of a failure from `close`.
    socket.on('error', () => undefined);
    return socket;
  } catch (error: unknown) {
    socket.on('error', () => undefined);
    socket.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
