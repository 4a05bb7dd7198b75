/** Subscribes to one execution. When the connection breaks, it asks the next gateway for what follows its last seq. */
import { setTimeout as delay } from 'node:timers/promises';
import type { StreamItem, StreamRecord } from '../history.ts';
import type { CallsDeps } from './calls.ts';
import { EVENT_FIELDS, subscribe } from './subscribe.ts';

/** Longer than a call may take, because the followed execution may wait behind others. */
const FOLLOW_LIMIT_MS = 150_000;
const RECONNECT_PAUSE_MS = 150;

const QUERY = `subscription Follow($id: ID!, $after: Int!) {
  output(executionId: $id, after: $after) ${EVENT_FIELDS} }`;

/** Follows the execution to its end, or gives up after {@link FOLLOW_LIMIT_MS} with `isEnded` false. */
export async function followOutput(
  deps: Pick<CallsDeps, 'urls' | 'credentials' | 'random' | 'signal'>,
  user: string,
  executionId: string,
): Promise<StreamRecord> {
  const items: StreamItem[] = [];
  const isEnded = () => items.at(-1)?.kind === 'finish';
  const end = Date.now() + FOLLOW_LIMIT_MS;
  const first = deps.random.between(0, deps.urls.length - 1);
  let connections = 0;
  let refusal: string | null = null;
  while (!isEnded() && refusal === null && Date.now() < end) {
    if (connections > 0) await delay(RECONNECT_PAUSE_MS, undefined, { signal: deps.signal });
    const over = await subscribe(deps, {
      turn: first + connections,
      query: QUERY,
      variables: { id: executionId, after: items.at(-1)?.seq ?? 0 },
      onItem: ({ executionId: _, ...item }) => items.push(item),
    });
    connections += 1;
    if (over !== 'completed') refusal = over;
    else if (!isEnded()) refusal = 'completed before its end';
  }
  return { user, executionId, items, connections, isEnded: isEnded(), refusal };
}
