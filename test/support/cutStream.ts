/** One subscription on its own connection, which a test can cut at any point. */
import { WebSocket } from 'ws';
import type { TestGateway } from '../../testkit/gateway.ts';

export interface StreamedEvent {
  readonly __typename: string;
  readonly executionId: string;
  readonly seq: number;
  readonly name?: 'STDOUT' | 'STDERR';
  readonly text?: string;
  readonly execution?: { readonly status: string; readonly stateLost: boolean };
}

export const EVENT_FIELDS = `{ __typename executionId seq ... on StreamOutput { name text }
  ... on ExecutionFinished { execution { status stateLost } } }`;

/** How a connection ends: the client closes it, the client unsubscribes first, or the socket is destroyed. */
export type CutKind = 'close' | 'complete' | 'terminate';

/** When a connection ends: after a number of events, or after a number of milliseconds whatever has arrived by then. */
export type CutPoint =
  | { readonly afterEvents: number; readonly kind: CutKind }
  | { readonly afterMs: number; readonly kind: CutKind };

export type StreamEnd = 'completed' | 'enough' | 'cut' | 'broken';

export interface Subscription {
  readonly query: string;
  readonly variables: Readonly<Record<string, unknown>>;
}

/**
 * Follows the stream until it is completed, `take` has enough, this side cuts it, or the other side breaks it. Events
 * that arrive after the cut are ignored, since a client that is gone would not see them.
 * @throws Error for any message that a stream must never send
 */
export function followOnce(
  gateway: TestGateway,
  subscription: Subscription,
  cut: CutPoint | null,
  take: (event: StreamedEvent) => 'more' | 'enough',
): Promise<StreamEnd> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(
      `${gateway.url.replace('http', 'ws')}/graphql`,
      'graphql-transport-ws',
    );
    const send = (message: object) => socket.send(JSON.stringify(message));
    let outcome: StreamEnd = 'broken';
    let events = 0;
    const end = (how: StreamEnd, kind: CutKind) => {
      if (outcome !== 'broken') return;
      outcome = how;
      if (kind === 'complete' && socket.readyState === WebSocket.OPEN)
        send({ id: '1', type: 'complete' });
      if (kind === 'terminate') socket.terminate();
      else socket.close(1000);
    };
    const timer =
      cut !== null && 'afterMs' in cut && setTimeout(() => end('cut', cut.kind), cut.afterMs);

    socket.on('open', () =>
      send({ type: 'connection_init', payload: { 'X-Auth-Token': gateway.token } }),
    );
    socket.on('message', (data) => {
      if (outcome !== 'broken') return;
      const message = JSON.parse(String(data));
      if (message.type === 'connection_ack')
        send({ id: '1', type: 'subscribe', payload: subscription });
      else if (message.type === 'complete') end('completed', 'close');
      else if (message.type === 'next' && !message.payload.errors) {
        const [event] = Object.values<StreamedEvent>(message.payload.data);
        if (!event) throw new Error('An event of nothing.');
        events += 1;
        if (take(event) === 'enough') end('enough', 'close');
        else if (cut !== null && 'afterEvents' in cut && events === cut.afterEvents)
          end('cut', cut.kind);
      } else if (message.type !== 'ping') {
        socket.terminate();
        reject(new Error(`The stream said ${String(data)}`));
      }
    });
    // A 'close' follows every error and is handled below.
    socket.on('error', () => undefined);
    socket.on('close', () => {
      if (timer) clearTimeout(timer);
      resolve(outcome);
    });
  });
}
