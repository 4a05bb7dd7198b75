/**
 * Limits how many wrong tokens an address may send. An address that has sent too many gets no answer about any further
 * one: not even a right one is looked up, because otherwise a guess could still be tried. Only the tokens that have been
 * right from this very address lately go on working, so neighbours behind the same address are not locked out.
 */

import { BoundedMap } from '../../domain/boundedMap.ts';

/**
 * How many addresses are remembered. An entry takes 200 bytes, or 700 with several good tokens, so all take at most 45 MB.
 * An attacker who makes the gateway forget an address gains nothing: each address has attempts of its own.
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
  /** How many wrong tokens it may send, at the time `at`. */
  credit: number;
  at: number;
  /** Hashes of tokens that have been right from there. */
  readonly good: BoundedMap<string, true>;
}

export interface FailedLogins {
  /**
   * Before a token (its hash) is looked up: how long this address must wait before it may show it. Null: it may now. The
   * attempt counts as a wrong one until it has succeeded, so that attempts at the same time do not count as one, unless
   * they are with the same token. Each attempt that may be made must end with one of the next three.
   */
  attempt(address: string, hash: string): number | null;
  /** The token was right. */
  succeeded(address: string, hash: string): void;
  /** The token was wrong. If it was right before, it counts only from now on. */
  failed(address: string, hash: string): void;
  /** Nobody could say whether the token is right, so it counts as neither. */
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
  /** How much is remembered. */
  readonly maxGood?: number;
  readonly maxAddresses?: number;
}

/** @param perMinute wrong tokens that an address may send a minute, and at once @param clock in ms */
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
  /** Tokens that count as wrong until the first of their lookups ends, each with the number of lookups that have begun. */
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

  /** Adds attempts. An address owes none, so that it may send one as soon as the time of one has passed. */
  function add(entry: Entry, attempts: number): void {
    entry.credit = Math.min(perMinute, Math.max(0, creditOf(entry) + attempts));
    entry.at = clock();
  }

  /** The attempts with this token were no wrong ones. */
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
