import type { TokenEnd } from '../../service/access/tokenEnd.ts';

/** Null: pass now. Else a promise to wait for before passing. Those that wait pass in the order of their calls. */
export type TokenGate = () => Promise<void> | null;

/** Holds up what comes while nobody knows whether the token is still valid. */
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
