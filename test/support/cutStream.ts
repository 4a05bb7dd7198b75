/** One subscription on a connection of its own, which a test cuts wherever it likes. */
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

/** How a connection ends: its client says goodbye, unsubscribes first, or is gone without a word. */
export type CutKind = 'close' | 'complete' | 'terminate';

/** Where: after so many events, or after so many milliseconds, whatever has come by then. */
export type CutPoint =
  | { readonly afterEvents: number; readonly kind: CutKind }
  | { readonly afterMs: number; readonly kind: CutKind };

export type StreamEnd = 'completed' | 'enough' | 'cut' | 'broken';

export interface Subscription {
  readonly query: string;
  readonly variables: Readonly<Record<string, unknown>>;
}

/**
 * Follows until the stream is completed, or `take` has enough, or it is cut here, or broken from the other side. Events that come
 * after the cut are not taken, as a client that is gone would not have them.
 * @throws Error for anything that a stream may never say
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
    // Its 'close' follows, and tells as much.
    socket.on('error', () => undefined);
    socket.on('close', () => {
      if (timer) clearTimeout(timer);
      resolve(outcome);
    });
  });
}
