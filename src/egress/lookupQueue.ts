/**
 * Decides which name is looked up next. Askers take turns, so that slow names of one asker do not block the others. A
 * name goes through these states:
 *
 * ```
 *  asked --> waits for a turn of one of its askers --> looked up --> answers all of its askers
 *              \--nobody asks any more--> forgotten
 * ```
 */
import type { Address } from '../domain/egress.ts';
import { tooMany } from './egressRefusal.ts';

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

export interface LookupQueueDeps {
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
