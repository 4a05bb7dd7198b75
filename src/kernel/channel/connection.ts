/**
 * One WebSocket to a worker, from dialling to its end. {@link openKernelChannel} opens the next one after that.
 *
 * ```
 *  dialling --upgrade--> greeting --hello--> open --...--> ended (lost | fenced)
 * ```
 */
import { type ClientOptions, type RawData, WebSocket } from 'ws';
import { backOffMs } from '../../async/backOffMs.ts';
import type { AgentAddress } from '../../domain/agentAddress.ts';
import type { Hello } from '../frames/messages.ts';
import { type DeliverableFrame, type Frame, parseFrame } from '../frames/parseFrame.ts';
import { FencedByWorkerError, KernelProtocolError } from './kernelErrors.ts';

// Dials and closes the WebSocket to a worker, with bounds on what the peer may send and on the time that closing takes.

type CreateConnection = NonNullable<ClientOptions['createConnection']>;

/** Time for the close handshake, so that the last message sent (an ack) still arrives. */
const CLOSE_TIMEOUT_MS = 500;
/**
 * The agent's largest message is 16 MiB by default. JSON escapes of non-ASCII text can triple it, and the envelope
 * comes on top. All fragments of a message count together.
 */
const MAX_FRAME_BYTES = 64 * 1_048_576;
/** A fragment costs memory in addition to its bytes. The agent does not fragment messages. */
const MAX_FRAGMENTS = 1_024;

/**
 * Dials immediately. `ws` itself drops a peer that sends pings without reading the answers, after 60 pings.
 * @param after the last seq that is stored; the agent frees all messages up to it
 */
function dialWorker(address: AgentAddress, after: number, epoch: number): WebSocket {
  return new WebSocket(`ws://agent/channels?after=${after}&epoch=${epoch}`, {
    // `ws` accepts any Duplex, but its types allow only sockets.
    createConnection: (() => address.open()) as unknown as CreateConnection,
    perMessageDeflate: false,
    maxPayload: MAX_FRAME_BYTES,
    maxFragments: MAX_FRAGMENTS,
    // Invalid UTF-8 becomes U+FFFD. If it were refused, one bad message would be replayed and end every later
    // connection.
    skipUTF8Validation: true,
  });
}

function textOf(data: RawData): string {
  // With the default `binaryType`, `ws` passes a Buffer.
  return (data as Buffer).toString('utf8');
}

/** Closes the socket in any state. Resolves when it is closed, which takes at most half a second. */
function closeSocket(socket: WebSocket): Promise<void> {
  if (socket.readyState === WebSocket.CLOSED) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(() => socket.terminate(), CLOSE_TIMEOUT_MS);
    socket.once('close', () => {
      clearTimeout(timer);
      resolve();
    });
    if (socket.readyState === WebSocket.CONNECTING) socket.terminate();
    // A socket that is already closing needs nothing more. After a refused upgrade, `resume` would throw.
    if (socket.readyState !== WebSocket.OPEN) return;
    // A paused socket would never read the peer's close frame.
    socket.resume();
    socket.close(1000);
  });
}

/** How often the peer is pinged. A stopped process keeps its socket open, so only silence shows that it is gone. */
const PING_INTERVAL_MS = 2_000;
/**
 * After this many pings without a sign of life, the peer counts as gone. Pings are counted, not time: if this process
 * itself was stopped, the answers are already in the socket, and are read before the next ping.
 */
const MAX_UNANSWERED_PINGS = 3;

interface Liveness {
  start(): void;
  /** Call this for everything that arrives from the peer. */
  sign(): void;
  close(): void;
}

/** Pings the peer from `start` on, and calls `onSilence` once if the peer stays silent. */
function createLiveness(deps: {
  readonly intervalMs: number | undefined;
  readonly ping: () => void;
  /** While reading is paused, answers stay unread, so silence means nothing. */
  readonly isPaused: () => boolean;
  readonly onSilence: () => void;
}): Liveness {
  let unanswered = 0;
  let timer: NodeJS.Timeout | undefined;
  const close = (): void => clearInterval(timer);
  const check = (): void => {
    if (deps.isPaused()) {
      unanswered = 0;
    } else if (unanswered >= MAX_UNANSWERED_PINGS) {
      close();
      deps.onSilence();
    } else {
      unanswered += 1;
      deps.ping();
    }
  };
  return {
    start: () => {
      timer = setInterval(check, deps.intervalMs ?? PING_INTERVAL_MS);
    },
    sign: () => {
      unanswered = 0;
    },
    close,
  };
}

/**
 * Most outages are over immediately, and code may be waiting, so the first pause is short. A worker that comes back
 * after a long outage is reached within a second.
 */
const BACK_OFF = { firstMs: 20, maxMs: 1_000 };
/** After a connection that lasted this long, the next loss starts with the short delay again. */
const STABLE_AFTER_MS = 1_000;

export interface Reconnector {
  /** A connection failed or ended; the next attempt follows after a delay. */
  lost(error: Error): void;
  /** A connection is open. It counts as good after {@link STABLE_AFTER_MS}. */
  opened(): void;
  /** The connection has delivered something new, so it counts as good immediately. */
  proved(): void;
  close(): void;
}

/**
 * Decides when to reconnect (exponential back-off with jitter), and when to report the worker as unreachable. A peer
 * that accepts connections and drops them immediately counts as unreachable too. The first outage begins at creation.
 */
export function createReconnector(deps: {
  readonly connect: () => void;
  readonly random: () => number;
  readonly unreachableAfterMs: number;
  readonly onUnreachable: (error: Error) => void;
}): Reconnector {
  let attempts = 0;
  let lastError = new Error('The worker has not answered yet.');
  let retryTimer: NodeJS.Timeout | undefined;
  let stableTimer: NodeJS.Timeout | undefined;
  let outageTimer: NodeJS.Timeout | null = null;

  const startOutage = (): void => {
    outageTimer ??= setTimeout(() => deps.onUnreachable(lastError), deps.unreachableAfterMs);
  };
  const proved = (): void => {
    if (outageTimer === null) return;
    clearTimeout(outageTimer);
    outageTimer = null;
    attempts = 0;
  };

  startOutage();
  return {
    lost: (error) => {
      lastError = error;
      clearTimeout(stableTimer);
      startOutage();
      retryTimer = setTimeout(deps.connect, backOffMs(BACK_OFF, attempts, deps.random));
      attempts += 1;
    },
    opened: () => {
      stableTimer = setTimeout(proved, STABLE_AFTER_MS);
    },
    proved,
    close: () => {
      clearTimeout(retryTimer);
      clearTimeout(stableTimer);
      if (outageTimer !== null) clearTimeout(outageTimer);
    },
  };
}

/**
 * Limit of each of two steps: from dialling to the answer to the upgrade, and from there to the hello. A stopped agent
 * never answers the upgrade. A running agent sends the hello immediately.
 */
const HANDSHAKE_TIMEOUT_MS = 5_000;
/** Limit of bytes sent but not read by the peer: enough for a few of the largest requests. An agent always reads. */
const MAX_UNREAD_BYTES = 32 * 1_048_576;
/**
 * The agent's close code when a new connection, or a call with a higher epoch, supersedes this connection
 * (worker-protocol.md).
 */
const CLOSE_CODE_FENCED = 4409;

interface ConnectionDeps {
  readonly address: AgentAddress;
  readonly after: number;
  readonly epoch: number;
  readonly pingIntervalMs?: number;
  readonly handshakeTimeoutMs?: number;
  readonly now: () => number;
  /** The callback may call the connection's `end`. */
  readonly onOpen: (hello: Hello) => void;
  /** Gets every frame except the hello, in order, only while the connection is open. */
  readonly onFrame: (frame: DeliverableFrame) => void;
  /** Called once, as the last callback. Not called after `close()`. */
  readonly onEnd: (error: Error) => void;
}

export interface Connection {
  /**
   * Hands the frame to the socket. Returns false, and sends nothing, if the connection is not open. Ends it if the peer
   * does not read.
   */
  send(frame: string): boolean;
  /** Stops reading, so that the peer has to wait. At most the 64 KiB that are already read still arrive. */
  pause(): void;
  resume(): void;
  /** Terminates the connection immediately and reports `error`. */
  end(error: Error): void;
  /** Closes with a close handshake. Resolves when the socket is closed. */
  close(): Promise<void>;
}

/** Dials immediately. If it ends with {@link FencedByWorkerError}, never connect with this epoch again. */
export function openConnection(deps: ConnectionDeps): Connection {
  return new SocketConnection(deps);
}

class SocketConnection implements Connection {
  readonly #deps: ConnectionDeps;
  readonly #socket: WebSocket;
  readonly #liveness: Liveness;
  #phase: 'greeting' | 'open' | 'ended' = 'greeting';
  #lastError: Error | null = null;
  #isPaused = false;
  /** First for the upgrade, then for the hello. */
  #deadline: NodeJS.Timeout;

  constructor(deps: ConnectionDeps) {
    this.#deps = deps;
    this.#socket = dialWorker(deps.address, deps.after, deps.epoch);
    this.#liveness = createLiveness({
      intervalMs: deps.pingIntervalMs,
      ping: () => this.#socket.ping(),
      isPaused: () => this.#isPaused,
      onSilence: () => this.end(new Error('The worker does not answer pings.')),
    });
    this.#listen();
    // The `handshakeTimeout` of `ws` works only if the connection is a socket, so this deadline is our own.
    this.#deadline = this.#endLater(new Error('The worker does not answer the upgrade.'));
  }

  send(frame: string): boolean {
    if (this.#phase !== 'open' || this.#socket.readyState !== WebSocket.OPEN) return false;
    if (this.#socket.bufferedAmount + Buffer.byteLength(frame) > MAX_UNREAD_BYTES) {
      this.end(new Error('The worker does not read its messages.'));
      return false;
    }
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
    return closeSocket(this.#socket);
  }

  #listen(): void {
    const socket = this.#socket;
    socket.on('open', () => this.#upgraded());
    socket.on('message', (data, isBinary) => {
      this.#liveness.sign();
      if (this.#phase === 'ended') return;
      this.#take(isBinary ? BINARY_FRAME : parseFrame(textOf(data), this.#deps.now()));
    });
    socket.on('pong', () => this.#liveness.sign());
    socket.on('unexpected-response', (_request, { statusCode }) =>
      this.end(
        statusCode === 409
          ? new FencedByWorkerError()
          : new Error(`The worker answered the upgrade with HTTP ${statusCode}.`),
      ),
    );
    socket.on('error', (error) => {
      this.#lastError = error;
    });
    socket.on('close', (code) => this.end(this.#reasonOf(code)));
  }

  #stop(): void {
    this.#phase = 'ended';
    clearTimeout(this.#deadline);
    this.#liveness.close();
  }

  #endLater(error: Error): NodeJS.Timeout {
    const limitMs = this.#deps.handshakeTimeoutMs ?? HANDSHAKE_TIMEOUT_MS;
    return setTimeout(() => this.end(error), limitMs);
  }

  #upgraded(): void {
    if (this.#phase === 'ended') return;
    clearTimeout(this.#deadline);
    this.#liveness.start();
    this.#deadline = this.#endLater(new KernelProtocolError('The worker sent no hello.'));
  }

  #open(hello: Hello): void {
    clearTimeout(this.#deadline);
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

  #reasonOf(closeCode: number): Error {
    if (closeCode === CLOSE_CODE_FENCED) return new FencedByWorkerError();
    return this.#lastError ?? new Error(`The worker closed the connection (${closeCode}).`);
  }
}

/** Jupyter's binary frames carry buffers, which nothing here requests. */
const BINARY_FRAME: Frame = { type: 'dropped', seq: null, why: 'invalid' };
