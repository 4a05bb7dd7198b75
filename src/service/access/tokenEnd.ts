import { DomainError } from '../../domain/errors.ts';

/** When a token ends, everything that its holder has open ends with it. */
export interface TokenEnd {
  readonly isOver: boolean;
  /** Calls the listener once: when it ends, or now if it has. Returns a function that takes the listener back. */
  on(listener: () => void): () => void;
  /**
   * Null: as of less than a second ago, the token was valid. Else a promise to wait for before anything more is given:
   * it resolves when this gateway knows again which tokens are valid. Those that are not have ended then.
   */
  fresh(): Promise<void> | null;
}

export interface OpenTokenEnd extends TokenEnd {
  end(): void;
}

/**
 * A plain set of listeners: one token may have thousands of streams open, which is more than AbortSignal is made for.
 * @param fresh as above
 */
export function createTokenEnd(fresh: TokenEnd['fresh']): OpenTokenEnd {
  const listeners = new Set<() => void>();
  let isOver = false;
  return {
    get isOver() {
      return isOver;
    },
    on: (listener) => {
      if (isOver) listener();
      else listeners.add(listener);
      return () => listeners.delete(listener);
    },
    fresh,
    end: () => {
      isOver = true;
      for (const listener of listeners) listener();
      listeners.clear();
    },
  };
}

/** AUTH_TOKEN never ends. */
export const NEVER: TokenEnd = { isOver: false, on: () => () => {}, fresh: () => null };

/** What a call gets whose token has ended meanwhile. */
export function tokenEnded(): DomainError {
  return new DomainError('UNAUTHENTICATED', 'The token was revoked, or has expired.');
}

/**
 * The outcome of `work`, or a failure as soon as the token ends. The work itself is not stopped: what it has begun goes on,
 * and nothing more begins (actorDeps.ts).
 * @throws DomainError UNAUTHENTICATED
 */
export function untilTokenEnd<T>(tokenEnd: TokenEnd, work: Promise<T>): Promise<T> {
  if (tokenEnd === NEVER) return work;
  return new Promise<T>((resolve, reject) => {
    const off = tokenEnd.on(() => reject(tokenEnded()));
    work.then(resolve, reject).finally(off);
  });
}
