import type { TokenEnd } from '../../service/access/tokenEnd.ts';

/** Null: go on now. Otherwise, wait for the promise first. Promises resolve in the order of the calls. */
export type TokenGate = () => Promise<void> | null;

/** Delays messages while it is unknown whether the token is still valid. */
export function createTokenGate({ fresh }: Pick<TokenEnd, 'fresh'>): TokenGate {
  let last: Promise<void> | null = null;
  return () => {
    const known = fresh();
    if (last === null && known === null) return null;
    const mine: Promise<void> = Promise.all([last, known]).then(() => {
      if (last === mine) last = null;
    });
    last = mine;
    return mine;
  };
}
