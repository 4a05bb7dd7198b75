/**
 * Limits how many wrong tokens an address may send. After too many, the gateway looks up no further token from that
 * address. Even a right token is refused then, because otherwise each guess would still be tried. Only tokens that were
 * recently right from the same address still work, so that other users behind the address are not locked out.
 */

import { BoundedMap } from '../../domain/boundedMap.ts';

/**
 * How many addresses are remembered. An entry takes 200 bytes, or 700 bytes with several good tokens. So all entries
 * take at most 45 MB. An attacker who makes the gateway forget an address gains nothing: each address has its own
 * attempts.
 */
const MAX_ADDRESSES = 65_536;
/** How many good tokens are remembered for each address. */
const MAX_GOOD = 8;
/**
 * How many lookups of one token at the same time count as one attempt. They try only one guess, and a client may begin
 * with many calls at once. The number is limited because each lookup may cost a query.
 */
const MAX_TOGETHER = 100;
const MS_PER_MINUTE = 60_000;

interface Entry {
  /** How many wrong tokens the address might still send, as of the time `at`. */
  credit: number;
  at: number;
  /** Hashes of tokens that were right when this address sent them. */
  readonly good: BoundedMap<string, true>;
}

export interface FailedLogins {
  /**
   * Must be called with a token's hash before the token is looked up. Returns how many ms this address must wait before
   * it may send the token. Null: the token may be looked up now. An attempt counts as wrong until it has succeeded. So
   * attempts at the same time count separately, unless they are with the same token. Each attempt for which the result
   * was null must end with `succeeded`, `failed` or `undecided`.
   */
  attempt(address: string, hash: string): number | null;
  /** The token was right. */
  succeeded(address: string, hash: string): void;
  /** The token was wrong. If it was right before, `attempt` has not counted it, so it is counted now. */
  failed(address: string, hash: string): void;
  /** The lookup has failed, so the token counts neither as right nor as wrong. */
  undecided(address: string, hash: string): void;
  /** Wrong tokens so far. */
  readonly count: number;
  /** Addresses that must wait now. */
  readonly limited: number;
  /** Addresses that are remembered. */
  readonly size: number;
}

export interface FailedLoginsLimits {
  /** How many lookups of one token at the same time count as one attempt. 1: each counts. */
  readonly maxTogether?: number;
  /** How many good tokens are remembered for each address. */
  readonly maxGood?: number;
  /** How many addresses are remembered. */
  readonly maxAddresses?: number;
}

/**
 * @param perMinute how many wrong tokens an address may send in a minute, or all at once
 * @param clock in ms
 */
export function createFailedLogins(
  perMinute: number,
  clock: () => number,
  {
    maxTogether = MAX_TOGETHER,
    maxGood = MAX_GOOD,
    maxAddresses = MAX_ADDRESSES,
  }: FailedLoginsLimits = {},
): FailedLogins {
  const entries = new BoundedMap<string, Entry>(maxAddresses);
  /** Tokens that are being looked up, each with the number of its lookups. They count as wrong until a lookup ends. */
  const tried = new Map<string, number>();
  let count = 0;

  function creditOf({ credit, at }: Entry): number {
    return Math.min(perMinute, credit + ((clock() - at) * perMinute) / MS_PER_MINUTE);
  }

  function entryOf(address: string): Entry {
    const entry = entries.get(address) ?? {
      credit: perMinute,
      at: clock(),
      good: new BoundedMap<string, true>(maxGood),
    };
    entries.set(address, entry);
    return entry;
  }

  /** Adds attempts to the credit. It is never negative, so an address never waits for more than one attempt. */
  function add(entry: Entry, attempts: number): void {
    entry.credit = Math.min(perMinute, Math.max(0, creditOf(entry) + attempts));
    entry.at = clock();
  }

  /** Gives back the attempts with this token, because they do not count as wrong. */
  function takeBack(address: string, hash: string): void {
    const attempt = attemptOf(address, hash);
    const lookups = tried.get(attempt);
    if (lookups === undefined) return;
    tried.delete(attempt);
    add(entryOf(address), Math.ceil(lookups / maxTogether));
  }

  return {
    attempt: (address, hash) => {
      const entry = entryOf(address);
      if (entry.good.has(hash)) return null;
      const attempt = attemptOf(address, hash);
      const lookups = tried.get(attempt) ?? 0;
      if (lookups % maxTogether === 0) {
        const credit = creditOf(entry);
        if (credit < 1) return Math.ceil(((1 - credit) * MS_PER_MINUTE) / perMinute);
        add(entry, -1);
      }
      tried.set(attempt, lookups + 1);
      return null;
    },
    succeeded: (address, hash) => {
      takeBack(address, hash);
      entryOf(address).good.set(hash, true);
    },
    failed: (address, hash) => {
      count += 1;
      tried.delete(attemptOf(address, hash));
      const entry = entryOf(address);
      if (entry.good.delete(hash)) add(entry, -1);
    },
    undecided: takeBack,
    get count() {
      return count;
    },
    get limited() {
      return [...entries.values()].filter((each) => creditOf(each) < 1).length;
    },
    get size() {
      return entries.size;
    },
  };
}

const attemptOf = (address: string, hash: string) => `${address} ${hash}`;
