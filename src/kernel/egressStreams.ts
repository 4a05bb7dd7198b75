/**
 * Keeps idle streams parked at a worker's agent, so that code in the worker reaches this gateway without delay.
 *
 * ```
 *  dialling --101--> parked --0x01--> taken (the owner's) --> closed
 *     |                 |
 *     +------lost-------+--> dialled again after a pause
 *     +--409, 404: nothing is dialled any more
 * ```
 * The agent closes all streams of an epoch when a higher one comes.
 */
import { type IncomingMessage, request } from 'node:http';
import type { Duplex } from 'node:stream';
import { backOffMs } from '../async/backOffMs.ts';
import type { AgentAddress } from '../domain/agentAddress.ts';

/** Limit from dialling to the answer: a stopped agent never answers. */
const HANDSHAKE_TIMEOUT_MS = 5_000;
/** The byte that the agent sends first when it gives a stream to code. */
const TAKEN = 1;

/** Why a stream ended before it was taken. */
export type NotTaken =
  /** The agent refused the stream. 404: it has no egress. 409: another gateway has the worker. */
  | { readonly kind: 'refused'; readonly status: number }
  | { readonly kind: 'lost'; readonly error: Error; readonly parkedMs: number };

interface StreamEvents {
  /** Code in the worker has the stream. Every byte that is still unread comes from the code. */
  readonly onTaken: () => void;
  /** Called once if the stream ends before code has it. Not called after `onTaken` or `abandon()`. */
  readonly onNotTaken: (why: NotTaken) => void;
}

interface DialledStream {
  /** After `onTaken`, the caller owns the stream, and must end or destroy it. */
  readonly stream: Duplex;
  /** Destroys the stream, unless it was taken. */
  abandon(): void;
}

/** Dials immediately. Errors of the stream are caught here, even after it was taken. Each is followed by `close`. */
function dialStream(address: AgentAddress, epoch: number, events: StreamEvents): DialledStream {
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

/** This many connections of code can begin without waiting for a new stream, which takes about a millisecond. */
const SPARE_STREAMS = 4;
/** The first pause after a loss is short: code may be waiting. A worker that comes back is reached within a second. */
const BACK_OFF = { firstMs: 20, maxMs: 1_000 };
/** If a stream was parked for at least this long before it was lost, the pauses start with the short one again. */
const STABLE_AFTER_MS = 1_000;
/** HTTP statuses that another attempt would not change: the agent has no egress; a newer gateway has the worker. */
const NO_EGRESS = 404;
const FINAL_STATUSES = [NO_EGRESS, 409];
/** After this many failures in a row, which take some seconds, `onFailing` is called. */
const REPORTED_FAILURES = 8;

interface EgressStreamsDeps {
  readonly address: AgentAddress;
  /** This gateway's lease epoch for the worker. */
  readonly epoch: number;
  /** How many streams may be parked, dialled or taken at the same time. Further connections wait in the worker. */
  readonly maxConnections: number;
  /**
   * Receives each connection of code as a stream, and owns the stream from then on. Bytes that are read from it come
   * from the code. Bytes that are written to it go to the code. The end of one direction does not end the other, so an
   * owner that has read to the end must end or destroy the stream. Errors of the stream are caught. `close` is always
   * emitted.
   */
  readonly onStream: (stream: Duplex) => void;
  /**
   * Called at most once, with the reason why code has no egress: the agent does not support it, or streams are lost
   * repeatedly. Not called if a newer gateway has the worker.
   */
  readonly onFailing?: (why: NotTaken) => void;
  /** From 0 to below 1, for the back-off's jitter. */
  readonly random?: () => number;
}

export interface EgressStreams {
  /** How many connections code has now. */
  readonly taken: number;
  /** Destroys all streams, including those that code uses, and stops dialling. Idempotent. */
  close(): void;
}

/** Dials immediately, and again whenever a stream was taken or lost. Never throws. */
export function openEgressStreams(deps: EgressStreamsDeps): EgressStreams {
  const spare = new Set<DialledStream>();
  const taken = new Set<Duplex>();
  let failures = 0;
  let isReported = false;
  let retry: NodeJS.Timeout | null = null;
  let isClosed = false;

  function fill(): void {
    while (canDial()) dial();
  }

  function canDial(): boolean {
    if (isClosed || retry !== null) return false;
    return spare.size < SPARE_STREAMS && spare.size + taken.size < deps.maxConnections;
  }

  function dial(): void {
    const dialled = dialStream(deps.address, deps.epoch, {
      onTaken: () => {
        spare.delete(dialled);
        failures = 0;
        give(dialled.stream);
      },
      onNotTaken: (why) => {
        spare.delete(dialled);
        pauseAfter(why);
      },
    });
    spare.add(dialled);
  }

  function give(stream: Duplex): void {
    taken.add(stream);
    stream.once('close', () => {
      taken.delete(stream);
      fill();
    });
    // The code waits for this stream. So it is handed over before its replacement is dialled.
    deps.onStream(stream);
    fill();
  }

  function report(why: NotTaken): void {
    if (isReported) return;
    isReported = true;
    deps.onFailing?.(why);
  }

  /** All streams that are lost during a pause share that pause. */
  function pauseAfter(why: NotTaken): void {
    const isFinal = why.kind === 'refused' && FINAL_STATUSES.includes(why.status);
    if (why.kind === 'refused' && why.status === NO_EGRESS) report(why);
    if (isFinal) close();
    if (isClosed || retry !== null) return;
    if (why.kind === 'lost' && why.parkedMs >= STABLE_AFTER_MS) failures = 0;
    retry = setTimeout(
      () => {
        retry = null;
        fill();
      },
      backOffMs(BACK_OFF, failures, deps.random),
    );
    failures += 1;
    if (failures >= REPORTED_FAILURES) report(why);
  }

  function close(): void {
    isClosed = true;
    if (retry !== null) clearTimeout(retry);
    for (const dialled of [...spare]) dialled.abandon();
    spare.clear();
    for (const stream of [...taken]) stream.destroy();
  }

  fill();
  return {
    get taken() {
      return taken.size;
    },
    close,
  };
}
