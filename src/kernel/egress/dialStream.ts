/**
 * Dials one stream to a worker's agent. Code in the worker can use the stream to reach this gateway
 * (docs/worker-protocol.md, "Egress").
 */
import { type IncomingMessage, request } from 'node:http';
import type { Duplex } from 'node:stream';
import type { AgentAddress } from '../../domain/agentAddress.ts';

/** Limit from dialling to the answer: a stopped agent never answers. */
const HANDSHAKE_TIMEOUT_MS = 5_000;
/** The byte that the agent sends first when it gives a stream to code. */
const TAKEN = 1;

/** Why a stream ended before it was taken. */
export type NotTaken =
  /** The agent refused the stream. 404: it has no egress. 409: another gateway has the worker. */
  | { readonly kind: 'refused'; readonly status: number }
  | { readonly kind: 'lost'; readonly error: Error; readonly parkedMs: number };

export interface StreamEvents {
  /** Code in the worker has the stream. Every byte that is still unread comes from the code. */
  readonly onTaken: () => void;
  /** Called once if the stream ends before code has it. Not called after `onTaken` or `abandon()`. */
  readonly onNotTaken: (why: NotTaken) => void;
}

export interface DialledStream {
  /** Belongs to the owner after `onTaken`. */
  readonly stream: Duplex;
  /** Destroys the stream, unless it was taken. */
  abandon(): void;
}

/** Dials immediately. Errors of the stream are caught here, even after it was taken. Each is followed by `close`. */
export function dialStream(
  address: AgentAddress,
  epoch: number,
  events: StreamEvents,
): DialledStream {
  const stream = address.open();
  // Code may stop sending and still read.
  stream.allowHalfOpen = true;
  let isOver = false;
  let parkedAt = Number.POSITIVE_INFINITY;

  function end(why: NotTaken | null): void {
    if (isOver) return;
    isOver = true;
    clearTimeout(timer);
    stream.destroy();
    if (why !== null) events.onNotTaken(why);
  }
  const lose = (error: Error) =>
    end({ kind: 'lost', error, parkedMs: Math.max(0, performance.now() - parkedAt) });

  const timer = setTimeout(
    () => lose(new Error('The worker did not answer the request for a stream.')),
    HANDSHAKE_TIMEOUT_MS,
  );
  stream.on('error', lose);
  stream.on('close', () => lose(new Error('The worker closed a stream.')));

  const call = request({
    createConnection: () => stream,
    path: `/egress?epoch=${epoch}`,
    headers: { connection: 'Upgrade', upgrade: 'cellhouse-egress' },
  });
  call.on('error', lose);
  call.on('response', (response: IncomingMessage) => {
    end({ kind: 'refused', status: response.statusCode ?? 0 });
  });
  call.on('upgrade', (_response, _socket, head: Buffer) => {
    clearTimeout(timer);
    if (isOver) return;
    if (head.length > 0) stream.unshift(head);
    parkedAt = performance.now();
    awaitTaken();
  });
  call.end();

  function awaitTaken(): void {
    const onReadable = (): void => {
      const first = stream.read(1) as Buffer | null;
      if (first === null) return;
      stream.off('readable', onReadable);
      if (isOver) return;
      if (first[0] !== TAKEN) {
        lose(new Error('The worker broke the protocol of a stream.'));
      } else {
        isOver = true;
        events.onTaken();
      }
    };
    stream.on('readable', onReadable);
    // A parked stream that the agent has ended is useless. Without this, its writable side would keep it open.
    stream.once('end', () => lose(new Error('The worker closed a stream.')));
  }

  return { stream, abandon: () => end(null) };
}
