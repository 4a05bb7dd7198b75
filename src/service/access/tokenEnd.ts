import { DomainError } from '../../domain/errors.ts';

/**
 * When a token ends, everything that its holder has open ends with it. `tokenCache.ts` learns of the end. These listen:
 * calls (`service.ts`), streams by SSE (`src/server/graphql/plugins.ts`), WebSockets (`src/server/webSocket/webSockets.ts`,
 * `src/server/doors/doorSockets.ts`), answers of doors (`src/server/doors/doorRoute.ts`), and transfers of files
 * (`src/server/http/files`).
 */
export interface TokenEnd {
  readonly isOver: boolean;
  /**
   * Calls the listener once: when the token ends, or now if it has ended. Returns a function that removes the listener.
   */
  on(listener: () => void): () => void;
  /**
   * Null if the token is known to have been valid less than a second ago. Otherwise a promise, which must be awaited
   * before the holder gets anything more. The promise resolves when this gateway knows again which tokens are valid. By
   * then, all tokens that are no longer valid have ended.
   */
  fresh(): Promise<void> | null;
}

export interface OpenTokenEnd extends TokenEnd {
  end(): void;
}

/**
 * A plain set of listeners: one token may have thousands of streams open, which is more than AbortSignal is made for.
 * @param fresh see {@link TokenEnd.fresh}
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

/** The error for a call whose token has ended. */
export function tokenEnded(): DomainError {
  return new DomainError('UNAUTHENTICATED', 'The token was revoked, or has expired.');
}

/**
 * Settles like `work`, but fails as soon as the token ends. The work itself is not stopped: what it has begun goes on,
 * but it can begin nothing more (actorDeps.ts).
 * @throws DomainError UNAUTHENTICATED
 */
export function untilTokenEnd<T>(tokenEnd: TokenEnd, work: Promise<T>): Promise<T> {
  if (tokenEnd === NEVER) return work;
  return new Promise<T>((resolve, reject) => {
    const off = tokenEnd.on(() => reject(tokenEnded()));
    work.then(resolve, reject).finally(off);
  });
}
