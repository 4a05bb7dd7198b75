/** Resolves names for user code: by the system, or by the servers of EGRESS_DNS. */
import { lookup, Resolver } from 'node:dns/promises';
import { type Address, parseAddress } from '../domain/egress.ts';
import { tooMany } from './egressRefusal.ts';

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

// Decides which name is looked up next. Askers take turns, so that slow names of one asker do not block the others. A
// name goes through these states:
// ```
//  asked --> waits for a turn of one of its askers --> looked up --> answers all of its askers
//              \--nobody asks any more--> forgotten
// ```

/**
 * Looks up all addresses of a name.
 * @param asker the session that asks
 * @param signal aborted when the answer is not wanted any more
 * @throws EgressRefusal if too many names wait; the signal's reason; the resolver's error if the name has no address
 */
export type Lookup = (
  name: string,
  asker: string,
  signal: AbortSignal,
) => Promise<readonly Address[]>;

interface LookupQueueDeps {
  /**
   * Looks up one name. A lookup cannot be stopped, so it counts as running until its end, even if nobody waits for it.
   */
  readonly resolve: (name: string) => Promise<readonly Address[]>;
  /** How many names are looked up at the same time. */
  readonly maxRunning: number;
  /** How many of these may be lookups of the same asker. */
  readonly maxOfAsker: number;
  /** How many names may wait. */
  readonly maxWaiting: number;
}

interface Asked {
  readonly name: string;
  /** The asker of each connection that waits for the name. */
  readonly waiters: Map<Waiter, string>;
  isRunning: boolean;
}

type Answer = PromiseSettledResult<readonly Address[]>;
type Waiter = (answer: Answer) => void;

export function createLookupQueue(deps: LookupQueueDeps): Lookup {
  /** By name. Askers that ask for the same name at the same time share one lookup. */
  const asked = new Map<string, Asked>();
  /** The waiting names of each asker. The asker whose turn is next comes first. */
  const turns = new Map<string, Set<Asked>>();
  const running = new Map<string, number>();
  let [runningInAll, waiting] = [0, 0];

  function next(): { readonly asker: string; readonly name: Asked } | null {
    if (runningInAll >= deps.maxRunning) return null;
    for (const [asker, [name]] of turns)
      if (name && (running.get(asker) ?? 0) < deps.maxOfAsker) return { asker, name };
    return null;
  }

  function startAll(): void {
    for (let found = next(); found !== null; found = next()) void start(found.asker, found.name);
  }

  async function start(asker: string, each: Asked): Promise<void> {
    // The next turn of this asker comes after those of all others.
    const own = turns.get(asker);
    turns.delete(asker);
    if (own) turns.set(asker, own);
    for (const other of new Set(each.waiters.values())) leaveTurns(other, each);
    waiting -= 1;
    each.isRunning = true;
    count(asker, 1);
    const [answer] = await Promise.allSettled([deps.resolve(each.name)]);
    count(asker, -1);
    asked.delete(each.name);
    for (const waiter of each.waiters.keys()) waiter(answer);
    startAll();
  }

  function count(asker: string, by: 1 | -1): void {
    runningInAll += by;
    const own = (running.get(asker) ?? 0) + by;
    if (own === 0) running.delete(asker);
    else running.set(asker, own);
  }

  function leaveTurns(asker: string, each: Asked): void {
    const own = turns.get(asker);
    own?.delete(each);
    if (own?.size === 0) turns.delete(asker);
  }

  function join(name: string, asker: string, waiter: Waiter): Asked {
    const known = asked.get(name);
    if (!known && waiting >= deps.maxWaiting)
      throw tooMany('Too many names wait to be resolved. Try again later.');
    const each = known ?? { name, waiters: new Map(), isRunning: false };
    each.waiters.set(waiter, asker);
    if (!known) {
      asked.set(name, each);
      waiting += 1;
    }
    if (!each.isRunning) turns.set(asker, (turns.get(asker) ?? new Set()).add(each));
    return each;
  }

  function leave(each: Asked, asker: string, waiter: Waiter): void {
    each.waiters.delete(waiter);
    if (each.isRunning) return;
    if (![...each.waiters.values()].includes(asker)) leaveTurns(asker, each);
    if (each.waiters.size > 0) return;
    asked.delete(each.name);
    waiting -= 1;
  }

  return async (name, asker, signal) => {
    signal.throwIfAborted();
    return await new Promise((resolve, reject) => {
      const waiter: Waiter = (answer) => {
        signal.removeEventListener('abort', onAbort);
        if (answer.status === 'fulfilled') resolve(answer.value);
        else reject(answer.reason);
      };
      const each = join(name, asker, waiter);
      const onAbort = () => {
        leave(each, asker, waiter);
        reject(signal.reason);
      };
      signal.addEventListener('abort', onAbort, { once: true });
      startAll();
    });
  };
}
