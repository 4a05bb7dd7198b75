/** A subscriber of all output of a user, throughout the run. It reconnects whenever the connection breaks. */
import { setTimeout as delay } from 'node:timers/promises';
import type { WatchRecord } from '../history.ts';
import type { CallsDeps } from './calls.ts';
import { EVENT_FIELDS, type FollowedItem, subscribe } from './subscribe.ts';

const RECONNECT_PAUSE_MS = 150;
/** Recorded output reaches a subscriber within milliseconds, and a silent connection is abandoned after 6 s. */
const LAST_LIMIT_MS = 20_000;

const QUERY = `subscription Watch($user: String!, $after: String) {
  output: sessionOutput(userUuid: $user, after: $after) ${EVENT_FIELDS} }`;

export interface Watch {
  /** Ends the watch when the end of this execution has arrived. With null it ends immediately. */
  end(executionId: string | null): Promise<WatchRecord>;
}

export function watchUser(
  deps: Pick<CallsDeps, 'urls' | 'credentials' | 'random' | 'signal'>,
  user: string,
): Watch {
  const items: FollowedItem[] = [];
  const ending = new AbortController();
  let connections = 0;
  let refusal: string | null = null;
  let last: string | null = null;

  const isLast = ({ kind, executionId }: FollowedItem) => kind === 'finish' && executionId === last;

  async function watch(): Promise<void> {
    const signal = AbortSignal.any([deps.signal, ending.signal]);
    const first = deps.random.between(0, deps.urls.length - 1);
    while (refusal === null) {
      const item = items.at(-1);
      refusal = await subscribe(
        { ...deps, signal },
        {
          turn: first + connections,
          query: QUERY,
          variables: { user, after: item ? `${item.executionId}:${item.seq}` : null },
          onItem: (each) => {
            items.push(each);
            if (isLast(each)) ending.abort();
          },
        },
      );
      connections += 1;
      await delay(RECONNECT_PAUSE_MS, undefined, { signal });
    }
  }

  const watching = watch().catch((error: unknown) => {
    if (!ending.signal.aborted && !deps.signal.aborted) throw error;
  });
  return {
    end: async (executionId) => {
      last = executionId;
      if (last === null || items.some(isLast)) ending.abort();
      const limit = delay(LAST_LIMIT_MS, undefined, { signal: ending.signal });
      await limit.then(
        () => ending.abort(),
        () => undefined,
      );
      await watching;
      return { user, items, connections, refusal, last };
    },
  };
}
