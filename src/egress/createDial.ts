/**
 * The only way out: from what code asks for to a connected socket.
 *
 * ```
 *  asked --listed?--> recorded --> resolved, once --each address allowed?--> that address dialled --> socket
 * ```
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { withAbort } from '../async/withAbort.ts';
import type { Config } from '../config/config.ts';
import { type Address, addressText } from '../domain/egress/address.ts';
import { type EgressRule, isListed, mayDial, parseRules } from '../domain/egress/egressRule.ts';
import { hostText, type Target } from '../domain/egress/target.ts';
import type { Session } from '../domain/session.ts';
import {
  EgressRefusal,
  failedToReach,
  type Lister,
  notListed,
  privateAddress,
  tooMany,
} from './egressRefusal.ts';
import type { Lookup } from './lookupQueue.ts';
import { isOwnAddress } from './ownAddresses.ts';
import type { Traffic } from './traffic.ts';

/** More addresses of one name are not tried. */
const MAX_ADDRESSES = 6;

/** Whose code it is. */
export type EgressSession = Pick<Session, 'id' | 'tenant' | 'egressAllow'>;

export interface DialDeps {
  readonly config: Pick<
    Config,
    'egressAllow' | 'tenantEgressAllow' | 'egressMaxTotalConnections' | 'egressConnectTimeoutMs'
  >;
  readonly lookup: Lookup;
  readonly traffic: Traffic;
}

/**
 * A connection to the target. Its bytes are counted until it closes.
 * @param gone aborted when nobody wants it any more
 * @throws EgressRefusal
 */
export type Dial = (session: EgressSession, target: Target, gone: AbortSignal) => Promise<Socket>;

export function createDial({ config, lookup, traffic }: DialDeps): Dial {
  let open = 0;

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
      if (signal.aborted) throw failedToReach(target, 'timed-out', error);
      throw failedToReach(target, 'unresolved', error);
    }
    throw failedToReach(target, 'unresolved');
  }

  async function dialListed(session: EgressSession, target: Target, gone: AbortSignal) {
    const key = { sessionId: session.id, host: hostText(target), port: target.port } as const;
    await traffic.begin({ ...key, outcome: 'allowed' });
    return await withAbort(gone, async (own) => {
      const timer = setTimeout(() => own.abort(), config.egressConnectTimeoutMs);
      try {
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
    if (open >= config.egressMaxTotalConnections)
      throw tooMany(
        'All connections that EGRESS_MAX_TOTAL_CONNECTIONS allows are in use. Try again later.',
      );
    open += 1;
    try {
      const socket = await dialListed(session, target, gone);
      socket.once('close', () => {
        open -= 1;
      });
      return socket;
    } catch (error: unknown) {
      open -= 1;
      throw error;
    }
  };
}

interface List {
  readonly by: Lister;
  readonly rules: readonly EgressRule[];
}

/** The lists that apply to the session. Each must have the target, and the addresses that it stands for. */
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

/** They were checked when the session was opened. What cannot be read any more allows nothing. */
function rulesOf(texts: readonly string[]): readonly EgressRule[] {
  return parseRules(texts.join(' ')) ?? [];
}

/** Tries each address for its share of the time. IPv4 first: a machine without IPv6 may lose what it sends by it. */
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
  const isLate = signal.aborted || last instanceof ConnectTimeoutError;
  throw failedToReach(target, isLate ? 'timed-out' : 'unreachable', last);
}

class ConnectTimeoutError extends Error {}

async function connectTo(
  address: Address,
  port: number,
  limitMs: number,
  signal: AbortSignal,
): Promise<Socket> {
  const { family } = address;
  // Never a name: it would be resolved again.
  const socket = connect({ host: addressText(address), port, family, allowHalfOpen: true });
  socket.setNoDelay(true);
  const timer = setTimeout(() => socket.destroy(new ConnectTimeoutError()), limitMs);
  try {
    await once(socket, 'connect', { signal });
    // Whoever uses it hears of its end by `close`.
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
