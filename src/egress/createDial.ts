/**
 * The only path for connections from code to hosts. It turns a requested target into a connected socket.
 *
 * ```
 *  asked --listed?--> recorded --> resolved once --every address allowed?--> one address dialled --> socket
 * ```
 */
import type { Socket } from 'node:net';
import { withAbort } from '../async/withAbort.ts';
import type { Config } from '../config/config.ts';
import {
  type EgressRule,
  hostText,
  isListed,
  mayDial,
  parseRules,
  type Target,
} from '../domain/egress.ts';
import type { Session } from '../domain/session.ts';
import { ConnectTimeoutError, connectToOne, reasonOf } from './connectToOne.ts';
import {
  EgressRefusal,
  failedToReach,
  type Lister,
  notListed,
  privateAddress,
} from './egressRefusal.ts';
import type { Lookup } from './lookupQueue.ts';
import { isOwnAddress } from './ownAddresses.ts';
import { createPlaces } from './places.ts';
import type { Traffic } from './traffic.ts';

/** The session whose code opens the connection. */
export type EgressSession = Pick<Session, 'id' | 'tenant' | 'egressAllow'>;

export interface DialDeps {
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
 * @throws EgressRefusal; the reason of `gone`; the database's error, also if the database does not answer
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
