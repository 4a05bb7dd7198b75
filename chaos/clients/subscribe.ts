/** One subscription on one connection of its own. Who goes on after a break is the caller's business. */
import { type Client, createClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import { within } from '../../src/async/within.ts';
import { compact, type StreamItem } from '../history.ts';
import type { CallsDeps } from './calls.ts';

/** What is followed says something each moment; silence means that its gateway is stopped, or that its user waits. */
const SILENCE_LIMIT_MS = 6_000;

/** As the database names them. */
const KINDS: Readonly<Record<string, string>> = {
  StreamOutput: 'stream',
  RichOutput: 'result',
  ErrorOutput: 'error',
  ClearOutput: 'clear',
  GapOutput: 'gap',
  ExecutionFinished: 'finish',
};

/** What a subscription asks of an output event. */
export const EVENT_FIELDS = `{ __typename executionId seq ... on StreamOutput { text } ... on GapOutput { reason } }`;

interface OutputEvent {
  readonly __typename: string;
  readonly executionId: string;
  readonly seq: number;
  readonly text?: string;
  readonly reason?: string;
}

export interface FollowedItem extends StreamItem {
  readonly executionId: string;
}

export interface Subscription {
  /** Of all gateways, in turns: the `turn`th is asked. */
  readonly turn: number;
  /** Its one field is called `output`, with {@link EVENT_FIELDS}. */
  readonly query: string;
  readonly variables: Readonly<Record<string, unknown>>;
  readonly onItem: (item: FollowedItem) => void;
}

/**
 * Resolves when the connection broke, fell silent or was ended: with `completed` if the server said that this was all, with an
 * error's code if it was refused for good, else with null.
 * @throws the signal's reason
 */
export async function subscribe(
  { urls, token, signal }: Pick<CallsDeps, 'urls' | 'token' | 'signal'>,
  subscription: Subscription,
): Promise<string | null> {
  const client = createClient({
    url: `${urls[subscription.turn % urls.length]?.replace('http', 'ws')}/graphql`,
    webSocketImpl: TerminableWebSocket,
    connectionParams: { 'X-Auth-Token': token },
    retryAttempts: 0,
  });
  const onStop = () => client.terminate();
  signal.addEventListener('abort', onStop, { once: true });
  try {
    return await take(client, subscription);
  } catch (error: unknown) {
    signal.throwIfAborted();
    // However else it broke: the next connection goes on.
    return refusalIn(error);
  } finally {
    signal.removeEventListener('abort', onStop);
    client.terminate();
  }
}

/** `ws` emits an error when it is ended before it was open; graphql-ws has stopped listening by then. */
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

/** Errors that say the subscription can never succeed. graphql-ws throws what the server answers instead of a first event. */
function refusalIn(errors: unknown): string | null {
  const codes = Array.isArray(errors) ? errors.map((error) => error?.extensions?.code) : [];
  return codes.find((code) => code === 'NOT_FOUND' || code === 'BAD_USER_INPUT') ?? null;
}

function itemOf({ __typename, executionId, seq, text = '', reason }: OutputEvent): FollowedItem {
  const kind = KINDS[__typename] ?? __typename;
  return { executionId, seq, kind, text: reason ?? compact(text), chars: text.length };
}
