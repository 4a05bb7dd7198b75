/** When a token ends, everything that its holder has open ends with it. */
export interface Ending {
  readonly isOver: boolean;
  /** Calls the listener once: when it ends, or now if it has. Returns a function that takes the listener back. */
  on(listener: () => void): () => void;
}

export interface OpenEnding extends Ending {
  end(): void;
}

/** A plain set of listeners: one token may have thousands of streams open, which is more than AbortSignal is made for. */
export function createEnding(): OpenEnding {
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
    end: () => {
      isOver = true;
      for (const listener of listeners) listener();
      listeners.clear();
    },
  };
}

export const NEVER: Ending = { isOver: false, on: () => () => {} };
