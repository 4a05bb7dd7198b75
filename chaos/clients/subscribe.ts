/** Subscriptions to all output of a user throughout the run, and to the output of one execution. */
import { setTimeout as delay } from 'node:timers/promises';
import { type Client, createClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import { within } from '../../src/async/within.ts';
import { compact, type StreamItem, type StreamRecord, type WatchRecord } from '../history.ts';
import type { CallsDeps } from './calls.ts';

// One subscription on its own connection. After a break, the caller decides whether to resume.

/** Followed code prints all the time. Such a silence means that the gateway is paused, or that the user waits. */
const SILENCE_LIMIT_MS = 6_000;

/** The kinds as named in the database. */
const KINDS: Readonly<Record<string, string>> = {
  StreamOutput: 'stream',
  RichOutput: 'result',
  ErrorOutput: 'error',
  ClearOutput: 'clear',
  GapOutput: 'gap',
  InputRequested: 'input',
  ExpressionResults: 'expressions',
  ExecutionFinished: 'finish',
};

/** The fields of an output event that a subscription selects. */
const EVENT_FIELDS = `{ __typename executionId seq ... on StreamOutput { text } ... on GapOutput { reason } }`;

interface OutputEvent {
  readonly __typename: string;
  readonly executionId: string;
  readonly seq: number;
  readonly text?: string;
  readonly reason?: string;
}

interface FollowedItem extends StreamItem {
  readonly executionId: string;
}

interface Subscription {
  /** Selects the gateway: successive numbers go round all gateways. */
  readonly turn: number;
  /** Its only field must be named `output` and select {@link EVENT_FIELDS}. */
  readonly query: string;
  readonly variables: Readonly<Record<string, unknown>>;
  readonly onItem: (item: FollowedItem) => void;
}

/**
 * Resolves when the subscription is over: with `completed` if the server completed it, with an error's code if it can
 * never succeed, and with null if the connection broke or was silent for too long.
 * @throws the signal's reason
 */
async function subscribe(
  { urls, credentials, signal }: Pick<CallsDeps, 'urls' | 'credentials' | 'signal'>,
  subscription: Subscription,
): Promise<string | null> {
  const client = createClient({
    url: `${urls[subscription.turn % urls.length]?.replace('http', 'ws')}/graphql`,
    webSocketImpl: TerminableWebSocket,
    connectionParams: { 'X-Auth-Token': credentials.token },
    retryAttempts: 0,
  });
  const onStop = () => client.terminate();
  signal.addEventListener('abort', onStop, { once: true });
  try {
    return await take(client, subscription);
  } catch (error: unknown) {
    signal.throwIfAborted();
    // Null if the connection broke. The caller then continues over the next connection.
    return refusalIn(error);
  } finally {
    signal.removeEventListener('abort', onStop);
    client.terminate();
  }
}

/** A `ws` socket that is terminated before it is open emits an error, to which graphql-ws no longer listens. */
class TerminableWebSocket extends WebSocket {
  constructor(url: string, protocols: string | string[]) {
    super(url, protocols);
    this.on('error', () => undefined);
  }
}

async function take(
  client: Client,
  { query, variables, onItem }: Subscription,
): Promise<string | null> {
  const events = client.iterate<{ output: OutputEvent }>({ query, variables });
  for (;;) {
    const next = await within(SILENCE_LIMIT_MS, events.next(), () => {
      throw new Error('Silence.');
    });
    if (next.done) return 'completed';
    const refusal = refusalIn(next.value.errors);
    if (refusal !== null || !next.value.data) return refusal;
    onItem(itemOf(next.value.data.output));
  }
}

/** The code of an error after which the subscription cannot succeed, or null. graphql-ws throws a refusal's errors. */
function refusalIn(errors: unknown): string | null {
  const codes = Array.isArray(errors) ? errors.map((error) => error?.extensions?.code) : [];
  return codes.find((code) => code === 'NOT_FOUND' || code === 'BAD_USER_INPUT') ?? null;
}

/** The item as the checker compares it with the stored output, where the reason of a gap is in lower case. */
export function itemOf({
  __typename,
  executionId,
  seq,
  text = '',
  reason,
}: OutputEvent): FollowedItem {
  const kind = KINDS[__typename] ?? __typename;
  const shown = reason?.toLowerCase() ?? compact(text);
  return { executionId, seq, kind, text: shown, chars: text.length };
}

// A subscriber of all output of a user, throughout the run. It reconnects whenever the connection breaks.

const RECONNECT_PAUSE_MS = 150;
/** Recorded output reaches a subscriber within milliseconds, and a silent connection is abandoned after 6 s. */
const LAST_LIMIT_MS = 20_000;

const WATCH_QUERY = `subscription Watch($user: String!, $after: String) {
  output: sessionOutput(userUuid: $user, after: $after) ${EVENT_FIELDS} }`;

interface Watch {
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
          query: WATCH_QUERY,
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

// Subscribes to one execution. When the connection breaks, it asks the next gateway for the outputs after its last seq.

/** Longer than a call may take, because the followed execution may wait behind others. */
const FOLLOW_LIMIT_MS = 150_000;

const FOLLOW_QUERY = `subscription Follow($id: ID!, $after: Int!) {
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
      query: FOLLOW_QUERY,
      variables: { id: executionId, after: items.at(-1)?.seq ?? 0 },
      onItem: ({ executionId: _, ...item }) => items.push(item),
    });
    connections += 1;
    if (over !== 'completed') refusal = over;
    else if (!isEnded()) refusal = 'completed before its end';
  }
  return { user, executionId, items, connections, isEnded: isEnded(), refusal };
}
