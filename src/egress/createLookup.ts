/** Resolves names for user code: by the system, or by the servers of EGRESS_DNS. */
import { lookup, Resolver } from 'node:dns/promises';
import { type Address, parseAddress } from '../domain/egress/address.ts';

/** All addresses of a name. @throws the resolver's error, if it has none */
export type Lookup = (name: string) => Promise<readonly Address[]>;

/**
 * The system's resolver blocks one of Node's four threads for each name, which files and hashes of the gateway need,
 * too. A server that does not answer blocks it for many seconds.
 */
const MAX_SYSTEM_LOOKUPS = 2;
/** For each of two attempts. */
const SERVER_TIMEOUT_MS = 2_000;
const SERVER_TRIES = 2;

/** @param servers with or without a port. None: the system's resolver, with its `/etc/hosts` */
export function createLookup(servers: readonly string[]): Lookup {
  return servers.length === 0 ? bySystem() : byServers(servers);
}

function byServers(servers: readonly string[]): Lookup {
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

function bySystem(): Lookup {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (name) => {
    if (running >= MAX_SYSTEM_LOOKUPS) await new Promise<void>((resolve) => waiting.push(resolve));
    else running += 1;
    try {
      const found = await lookup(name, { all: true });
      return addresses(found.map(({ address }) => address));
    } finally {
      const next = waiting.shift();
      if (next) next();
      else running -= 1;
    }
  };
}

/** An address that cannot be read, such as one with a zone, is a failure: what is not understood is not dialled. */
function addresses(texts: readonly string[]): readonly Address[] {
  return texts.map((text) => {
    const address = parseAddress(text);
    if (address === null) throw new Error(`The resolver gave ${JSON.stringify(text)}.`);
    return address;
  });
}
