/** A subscriber that comes back: after a break it asks the next gateway for what follows the last seq it has. */
import { setTimeout as delay } from 'node:timers/promises';
import { type Client, createClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import { compact, type StreamItem, type StreamRecord } from '../history.ts';
import type { CallsDeps } from './calls.ts';

/** Followed code says something each moment; silence means that its gateway is stopped, or that it waits for its turn. */
const SILENCE_LIMIT_MS = 6_000;
/** Longer than a call may take, for what is followed may wait behind others. */
const FOLLOW_LIMIT_MS = 150_000;
const RECONNECT_PAUSE_MS = 150;

const QUERY = `subscription Follow($id: ID!, $after: Int!) { output(executionId: $id, after: $after) {
  __typename seq ... on StreamOutput { text } ... on GapOutput { reason } } }`;

/** As the database names them. */
const KINDS: Readonly<Record<string, string>> = {
  StreamOutput: 'stream',
  ErrorOutput: 'error',
  ClearOutput: 'clear',
  GapOutput: 'gap',
  ExecutionFinished: 'finish',
};

/** `ws` emits an error when it is ended before it was open; graphql-ws has stopped listening by then. */
class TerminableWebSocket extends WebSocket {
  constructor(url: string, protocols: string | string[]) {
    super(url, protocols);
    this.on('error', () => undefined);
  }
}

interface Event {
  readonly __typename: string;
  readonly seq: number;
  readonly text?: string;
  readonly reason?: string;
}

/** Follows an execution to its end; after a time limit the record says that there was none. Each break is one connection more. */
export async function followOutput(
  deps: Pick<CallsDeps, 'urls' | 'token' | 'random' | 'signal'>,
  user: string,
  executionId: string,
): Promise<StreamRecord> {
  const items: StreamItem[] = [];
  const end = Date.now() + FOLLOW_LIMIT_MS;
  let turn = deps.random.between(0, deps.urls.length - 1);
  let connections = 0;
  let refusal: string | null = null;
  while (items.at(-1)?.kind !== 'finish' && refusal === null && Date.now() < end) {
    if (connections > 0) await delay(RECONNECT_PAUSE_MS, undefined, { signal: deps.signal });
    connections += 1;
    refusal = await followOnce(deps, turn, executionId, items);
    turn += 1;
  }
  const isEnded = items.at(-1)?.kind === 'finish';
  return { user, executionId, items, connections, isEnded, refusal };
}

/** On one connection, until it breaks, falls silent or is over. Resolves with an error's code if it was refused for good. */
async function followOnce(
  { urls, token, signal }: Pick<CallsDeps, 'urls' | 'token' | 'signal'>,
  turn: number,
  executionId: string,
  items: StreamItem[],
): Promise<string | null> {
  const client = createClient({
    url: `${urls[turn % urls.length]?.replace('http', 'ws')}/graphql`,
    webSocketImpl: TerminableWebSocket,
    connectionParams: { 'X-Auth-Token': token },
    retryAttempts: 0,
  });
  try {
    return await take(client, executionId, items, signal);
  } catch (error: unknown) {
    signal.throwIfAborted();
    // However else it broke: the next connection goes on.
    return refusalIn(error);
  } finally {
    client.terminate();
  }
}

async function take(
  client: Client,
  executionId: string,
  items: StreamItem[],
  signal: AbortSignal,
): Promise<string | null> {
  const variables = { id: executionId, after: items.at(-1)?.seq ?? 0 };
  const events = client.iterate<{ output: Event }>({ query: QUERY, variables });
  for (;;) {
    const next = await within(SILENCE_LIMIT_MS, events.next(), signal);
    if (next.done) return items.at(-1)?.kind === 'finish' ? null : 'completed before its end';
    const refusal = refusalIn(next.value.errors);
    if (refusal !== null || !next.value.data) return refusal;
    items.push(itemOf(next.value.data.output));
  }
}

/** Errors that say the subscription can never succeed. graphql-ws throws what the server answers instead of a first event. */
function refusalIn(errors: unknown): string | null {
  const codes = Array.isArray(errors) ? errors.map((error) => error?.extensions?.code) : [];
  return codes.find((code) => code === 'NOT_FOUND' || code === 'BAD_USER_INPUT') ?? null;
}

function itemOf({ __typename, seq, text = '', reason }: Event): StreamItem {
  const kind = KINDS[__typename] ?? __typename;
  return { seq, kind, text: reason ?? compact(text), chars: text.length };
}

async function within<T>(limitMs: number, work: Promise<T>, signal: AbortSignal): Promise<T> {
  const over = new AbortController();
  const silence = delay(limitMs, undefined, { signal: AbortSignal.any([signal, over.signal]) });
  try {
    return await Promise.race([
      work,
      silence.then(() => {
        throw new Error('Silence.');
      }),
    ]);
  } finally {
    over.abort();
    silence.catch(() => undefined);
  }
}
