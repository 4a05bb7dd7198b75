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
const MAX_FRAME_BYTES = 64 * 1_048_576;

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
  return new SocketConnection(deps);
}

class SocketConnection implements Connection {
  readonly #deps: ConnectionDeps;
  readonly #socket: WebSocket;
  #phase: 'greeting' | 'open' | 'ended' = 'greeting';
  #lastError: Error | null = null;
  #unansweredPings = 0;
  #isPaused = false;
  #helloTimer: NodeJS.Timeout | undefined;
  #pingTimer: NodeJS.Timeout | undefined;

  constructor(deps: ConnectionDeps) {
    this.#deps = deps;
    this.#socket = dial(deps);
    this.#socket.on('open', () => this.#upgraded());
    this.#socket.on('message', (data, isBinary) => {
      this.#unansweredPings = 0;
      if (this.#phase === 'ended') return;
      this.#take(isBinary ? BINARY_FRAME : parseFrame(textOf(data), deps.now()));
    });
    this.#socket.on('pong', () => {
      this.#unansweredPings = 0;
    });
    this.#socket.on('unexpected-response', (_request, { statusCode }) =>
      this.end(
        statusCode === 409
          ? new FencedByWorkerError()
          : new Error(`The worker answered the upgrade with HTTP ${statusCode}.`),
      ),
    );
    this.#socket.on('error', (error) => {
      this.#lastError = error;
    });
    this.#socket.on('close', (code) => this.end(this.#reasonOf(code)));
  }

  send(frame: string): boolean {
    if (this.#phase !== 'open' || this.#socket.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(frame);
    return true;
  }

  pause(): void {
    this.#isPaused = true;
    this.#socket.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#socket.resume();
  }

  end(error: Error): void {
    if (this.#phase === 'ended') return;
    this.#stop();
    this.#socket.terminate();
    this.#deps.onEnd(error);
  }

  close(): Promise<void> {
    this.#stop();
    return closed(this.#socket);
  }

  #stop(): void {
    this.#phase = 'ended';
    clearTimeout(this.#helloTimer);
    clearInterval(this.#pingTimer);
  }

  #upgraded(): void {
    if (this.#phase === 'ended') return;
    const pingIntervalMs = this.#deps.pingIntervalMs ?? PING_INTERVAL_MS;
    this.#pingTimer = setInterval(() => this.#checkLife(), pingIntervalMs);
    if (this.#deps.target.kind === 'jupyter') {
      this.#open(null);
    } else {
      const expire = () => this.end(new KernelProtocolError('The worker said no hello.'));
      this.#helloTimer = setTimeout(expire, HELLO_TIMEOUT_MS);
    }
  }

  #open(hello: Hello | null): void {
    clearTimeout(this.#helloTimer);
    this.#phase = 'open';
    this.#deps.onOpen(hello);
  }

  #take(frame: Frame): void {
    if (this.#phase === 'greeting') {
      if (frame.type === 'hello') this.#open(frame.hello);
      else this.end(new KernelProtocolError('The worker did not say hello first.'));
    } else if (frame.type === 'hello') {
      this.end(new KernelProtocolError('The worker said hello twice.'));
    } else {
      this.#deps.onFrame(frame);
    }
  }

  #checkLife(): void {
    // While paused, answers lie unread.
    if (this.#isPaused) {
      this.#unansweredPings = 0;
    } else if (this.#unansweredPings >= MAX_UNANSWERED_PINGS) {
      this.end(new Error('The worker gives no sign of life.'));
    } else {
      this.#unansweredPings += 1;
      this.#socket.ping();
    }
  }

  #reasonOf(closeCode: number): Error {
    if (closeCode === CLOSE_CODE_FENCED) return new FencedByWorkerError();
    return this.#lastError ?? new Error(`The worker closed the connection (${closeCode}).`);
  }
}

function dial(deps: ConnectionDeps): WebSocket {
  const { url, ...options } = dialOptions(deps.target, deps.after, deps.epoch);
  return new WebSocket(url, {
    ...options,
    perMessageDeflate: false,
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    maxPayload: MAX_FRAME_BYTES,
    // Bytes that are no UTF-8 become U+FFFD; refusing them would let one bad message end every connection after it.
    skipUTF8Validation: true,
  });
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
