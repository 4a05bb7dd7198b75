/** Answers that are under way: how many there are, how long a request may take to arrive, and whether anybody reads. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { within } from '../../async/within.ts';
import { hasBody } from './refuse.ts';

// The calls that a stopping server waits for.

export interface InFlight {
  /** Counts a call. The returned function ends the call. It has an effect only once. */
  begin(): () => void;
  readonly count: number;
  /** Resolves as soon as no call is in flight, but at the latest after `timeoutMs` or when `signal` is aborted. */
  untilNone(timeoutMs: number, signal?: AbortSignal): Promise<void>;
}

export function createInFlight(): InFlight {
  const calls = new Set<symbol>();
  const waiting = new Set<() => void>();

  return {
    begin() {
      const call = Symbol('call');
      calls.add(call);
      return () => {
        if (!calls.delete(call) || calls.size > 0) return;
        for (const wake of waiting) wake();
      };
    },

    get count() {
      return calls.size;
    },

    async untilNone(timeoutMs, signal) {
      if (calls.size === 0 || signal?.aborted) return;
      let wake = () => {};
      const woken = new Promise<void>((resolve) => {
        wake = resolve;
      });
      waiting.add(wake);
      signal?.addEventListener('abort', wake, { once: true });
      await within(timeoutMs, woken, () => undefined);
      waiting.delete(wake);
      signal?.removeEventListener('abort', wake);
    },
  };
}

/** Within this time, a request must have arrived as a whole, unless it is an upload of a file. */
const LIMIT_MS = 60_000;

/**
 * Ends the connection of a client whose request has not arrived as a whole within a minute, so that slow senders do not
 * hold connections forever. It must not be called for uploads of files: for them, only silence is limited. (Node's own
 * `requestTimeout` is the same for all requests of a server.)
 */
export function limitArrival(req: IncomingMessage): void {
  if (!hasBody(req)) return;
  const timer = setTimeout(() => {
    if (!req.complete) req.destroy();
  }, LIMIT_MS);
  timer.unref();
  req.once('close', () => clearTimeout(timer));
}

// Ends the connections of clients that read nothing of their answers.

export interface GuardedReader {
  /** Whether the client was disconnected because it read nothing. */
  readonly isCut: boolean;
}

/**
 * Disconnects the client when the time limit of {@link watchReader} has passed. Call this when a request begins,
 * because the time limit of an earlier answer on the same connection may still be active.
 */
export function guardReader(res: ServerResponse): GuardedReader {
  let isCut = false;
  // The timeout also fires on a connection that is inactive because there is nothing to send. Then it is ignored.
  res.on('timeout', () => {
    if (res.writableLength === 0) return;
    isCut = true;
    res.destroy();
  });
  return {
    get isCut() {
      return isCut;
    },
  };
}

/** Starts the time limit. From now on, a client that reads nothing for `timeoutMs` is disconnected. */
export function watchReader(res: ServerResponse, timeoutMs: number): void {
  const watch = () => res.setTimeout(timeoutMs);
  watch();
  // Yoga removes the time limit when it starts to stream, so set it again.
  res.on('pipe', watch);
}

/** Keeps track of the HTTP answers under way. */
interface OpenAnswers {
  /** Call this when the request arrives. From then on, the answer emits `close` when its connection breaks. */
  add(res: ServerResponse): void;
  /** From now on each connection ends after its current answer, so that no further request arrives on it. */
  endConnections(): void;
}

export function createOpenAnswers(): OpenAnswers {
  const open = new Set<ServerResponse>();
  /** The answers that wait for an earlier one on their connection, because the client pipelined its requests. */
  const waiting = new WeakMap<Socket, Set<ServerResponse>>();
  let isEnding = false;

  function waitingOn(socket: Socket): Set<ServerResponse> {
    const known = waiting.get(socket);
    if (known) return known;
    const all = new Set<ServerResponse>();
    waiting.set(socket, all);
    // When a connection breaks, Node closes only the answer that is being sent.
    socket.once('close', () => {
      for (const res of all) {
        res.destroy();
        res.emit('close');
      }
    });
    return all;
  }

  return {
    add(res) {
      open.add(res);
      res.once('close', () => open.delete(res));
      if (res.socket === null) {
        const others = waitingOn(res.req.socket).add(res);
        res.once('socket', () => others.delete(res));
      }
      if (isEnding) endAfter(res);
    },
    endConnections() {
      isEnding = true;
      for (const res of open) endAfter(res);
    },
  };
}

function endAfter(res: ServerResponse): void {
  if (!res.headersSent) res.setHeader('Connection', 'close');
}
