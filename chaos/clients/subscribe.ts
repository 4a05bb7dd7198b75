/** One subscription on its own connection. After a break, the caller decides whether to resume. */
import { type Client, createClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import { within } from '../../src/async/within.ts';
import { compact, type StreamItem } from '../history.ts';
import type { CallsDeps } from './calls.ts';

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
export async function subscribe(
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
    // If it broke in any other way, the caller continues with the next connection.
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

function itemOf({ __typename, executionId, seq, text = '', reason }: OutputEvent): FollowedItem {
  const kind = KINDS[__typename] ?? __typename;
  return { executionId, seq, kind, text: reason ?? compact(text), chars: text.length };
}
