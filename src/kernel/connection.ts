/**
 * One WebSocket to a worker, from dialling to its end; {@link openKernelChannel} makes a new one after each.
 *
 * ```
 *  dialling --upgrade--> greeting --hello--> open --...--> ended (lost | fenced)
 *                        (a plain Jupyter Server says no hello: open at the upgrade)
 * ```
 */
import { type RawData, WebSocket } from 'ws';
import { FencedByWorkerError, KernelProtocolError } from './kernelErrors.ts';
import { dialOptions, type KernelTarget } from './kernelTarget.ts';
import type { Hello } from './messages.ts';
import { type Frame, parseFrame } from './parseFrame.ts';

/** From dialling to the answered upgrade, over a local socket; a stopped agent never answers. */
const HANDSHAKE_TIMEOUT_MS = 5_000;
/** From the upgrade to the hello, which the agent sends in the same breath. */
const HELLO_TIMEOUT_MS = 5_000;
/** How often the peer is asked for a sign of life: a stopped process keeps its socket open and says nothing. */
const PING_INTERVAL_MS = 2_000;
/** So many pings without any sign of life in between end the connection. Ticks, not time: if it was we who slept, the
 *  answers lie in the socket and are read before the next tick. */
const MAX_UNANSWERED_PINGS = 3;
/** For the close handshake, so that what was sent last (an ack) still arrives. */
const CLOSE_TIMEOUT_MS = 500;
/** Closed by the agent because another gateway connected with an equal or higher epoch (docs/worker-protocol.md). */
const CLOSE_CODE_FENCED = 4409;
/** The agent's largest message (16 MiB by default), three times for JSON escapes of non-ASCII text, and its envelope. */
export const MAX_FRAME_BYTES = 64 * 1_048_576;

export interface ConnectionDeps {
  readonly target: KernelTarget;
  readonly after: number;
  readonly epoch: number;
  readonly pingIntervalMs?: number;
  readonly now: () => number;
  /** Null from a plain Jupyter Server. May call `end`. */
  readonly onOpen: (hello: Hello | null) => void;
  /** Everything but the hello, in order, only while open. */
  readonly onFrame: (frame: Exclude<Frame, { type: 'hello' }>) => void;
  /** Once, and nothing comes after it. Not called for `close()`. */
  readonly onEnd: (error: Error) => void;
}

export interface Connection {
  /** Hands the frame to the socket. False (nothing was done): not open. */
  send(frame: string): boolean;
  /** Stops reading, so that the peer has to wait; at most what is already read (64 KiB) still comes. */
  pause(): void;
  resume(): void;
  /** Gives up at once and reports `error`. */
  end(error: Error): void;
  /** Says goodbye; resolves when the socket is closed. */
  close(): Promise<void>;
}

/** Dials at once. {@link FencedByWorkerError} as the end's error means: never again with this epoch. */
export function openConnection(deps: ConnectionDeps): Connection {
  const { url, ...dial } = dialOptions(deps.target, deps.after, deps.epoch);
  const socket = new WebSocket(url, {
    ...dial,
    perMessageDeflate: false,
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    maxPayload: MAX_FRAME_BYTES,
    // Bytes that are no UTF-8 become U+FFFD; refusing them would let one bad message end every connection after it.
    skipUTF8Validation: true,
  });
  let phase: 'greeting' | 'open' | 'ended' = 'greeting';
  let lastError: Error | null = null;
  let unansweredPings = 0;
  let isPaused = false;
  let helloTimer: NodeJS.Timeout | undefined;
  let pingTimer: NodeJS.Timeout | undefined;

  const stop = (): boolean => {
    if (phase === 'ended') return false;
    phase = 'ended';
    clearTimeout(helloTimer);
    clearInterval(pingTimer);
    return true;
  };
  const end = (error: Error): void => {
    if (!stop()) return;
    socket.terminate();
    deps.onEnd(error);
  };
  const open = (hello: Hello | null): void => {
    clearTimeout(helloTimer);
    phase = 'open';
    deps.onOpen(hello);
  };
  const heard = (): void => {
    unansweredPings = 0;
  };
  const take = (frame: Frame): void => {
    if (phase === 'greeting') {
      if (frame.type === 'hello') open(frame.hello);
      else end(new KernelProtocolError('The worker did not say hello first.'));
    } else if (phase === 'open') {
      if (frame.type === 'hello') end(new KernelProtocolError('The worker said hello twice.'));
      else deps.onFrame(frame);
    }
  };
  const checkLife = (): void => {
    // While paused, answers lie unread.
    if (isPaused) {
      heard();
    } else if (unansweredPings >= MAX_UNANSWERED_PINGS) {
      end(new Error('The worker gives no sign of life.'));
    } else {
      unansweredPings += 1;
      socket.ping();
    }
  };

  socket.on('open', () => {
    if (phase === 'ended') return;
    pingTimer = setInterval(checkLife, deps.pingIntervalMs ?? PING_INTERVAL_MS);
    if (deps.target.kind === 'jupyter') return open(null);
    const expired = () => end(new KernelProtocolError('The worker said no hello.'));
    helloTimer = setTimeout(expired, HELLO_TIMEOUT_MS);
  });
  socket.on('message', (data, isBinary) => {
    heard();
    if (phase === 'ended') return;
    take(isBinary ? BINARY_FRAME : parseFrame(textOf(data), deps.now()));
  });
  socket.on('pong', heard);
  socket.on('unexpected-response', (_request, response) => {
    const { statusCode } = response;
    end(
      statusCode === 409
        ? new FencedByWorkerError()
        : new Error(`The worker answered the upgrade with HTTP ${statusCode}.`),
    );
  });
  socket.on('error', (error) => {
    lastError = error;
  });
  socket.on('close', (code) => {
    end(
      code === CLOSE_CODE_FENCED
        ? new FencedByWorkerError()
        : (lastError ?? new Error(`The worker closed the connection (${code}).`)),
    );
  });

  return {
    send: (frame) => {
      if (phase !== 'open' || socket.readyState !== WebSocket.OPEN) return false;
      socket.send(frame);
      return true;
    },
    pause: () => {
      isPaused = true;
      socket.pause();
    },
    resume: () => {
      isPaused = false;
      socket.resume();
    },
    end,
    close: () => {
      stop();
      return closed(socket);
    },
  };
}

/** Jupyter's binary frames carry buffers, which nothing here asks for. */
const BINARY_FRAME: Frame = { type: 'dropped', seq: null, why: 'invalid' };

function textOf(data: RawData): string {
  // `ws` gives a Buffer for the default binaryType.
  return (data as Buffer).toString('utf8');
}

function closed(socket: WebSocket): Promise<void> {
  if (socket.readyState === WebSocket.CLOSED) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(() => socket.terminate(), CLOSE_TIMEOUT_MS);
    socket.once('close', () => {
      clearTimeout(timer);
      resolve();
    });
    // A paused socket would never see the other side's goodbye.
    socket.resume();
    if (socket.readyState === WebSocket.CONNECTING) socket.terminate();
    else socket.close(1000);
  });
}
