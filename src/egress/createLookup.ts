/** Resolves names for user code: by the system, or by the servers of EGRESS_DNS. */
import { lookup, Resolver } from 'node:dns/promises';
import { type Address, parseAddress } from '../domain/egress.ts';
import { createLookupQueue, type Lookup, type LookupQueueDeps } from './lookupQueue.ts';

/**
 * The system's resolver blocks one of Node's four worker threads for each name, and for many seconds if a DNS server
 * does not answer. The gateway needs these threads for files and hashes, too. So at most two names are resolved at a
 * time, and one per session.
 */
const SYSTEM = { maxRunning: 2, maxOfAsker: 1 };
/** Servers that are asked directly block no thread. Each name takes two queries, and a socket for each server. */
const SERVERS = { maxRunning: 64, maxOfAsker: 8 };
/** The same as the default of EGRESS_MAX_TOTAL_CONNECTIONS. */
const MAX_WAITING = 1_024;
/** Limit of each attempt. */
const SERVER_TIMEOUT_MS = 2_000;
const SERVER_TRIES = 2;

/** @param servers with or without a port. Empty: the system's resolver, which reads `/etc/hosts` */
export function createLookup(servers: readonly string[]): Lookup {
  const own =
    servers.length === 0
      ? { ...SYSTEM, resolve: bySystem }
      : { ...SERVERS, resolve: byServers(servers) };
  return createLookupQueue({ ...own, maxWaiting: MAX_WAITING });
}

function byServers(servers: readonly string[]): LookupQueueDeps['resolve'] {
  const resolver = new Resolver({ timeout: SERVER_TIMEOUT_MS, tries: SERVER_TRIES });
  resolver.setServers(servers);
  return async (name) => {
    const [four, six] = await Promise.allSettled([
      resolver.resolve4(name),
      resolver.resolve6(name),
    ]);
    const found = [four, six].flatMap((each) => (each.status === 'fulfilled' ? each.value : []));
    if (found.length === 0 && four.status === 'rejected') throw four.reason;
    return addresses(found);
  };
}

async function bySystem(name: string): Promise<readonly Address[]> {
  const found = await lookup(name, { all: true });
  return addresses(found.map(({ address }) => address));
}

/** @throws Error for an address that cannot be parsed, such as one with a zone. Such an address is never dialled. */
function addresses(texts: readonly string[]): readonly Address[] {
  return texts.map((text) => {
    const address = parseAddress(text);
    if (address === null) throw new Error(`The resolver gave ${JSON.stringify(text)}.`);
    return address;
  });
}
