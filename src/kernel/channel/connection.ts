/**
 * One WebSocket to a worker, from dialling to its end. {@link openKernelChannel} opens the next one after that.
 *
 * ```
 *  dialling --upgrade--> greeting --hello--> open --...--> ended (lost | fenced)
 * ```
 */
import { WebSocket } from 'ws';
import type { AgentAddress } from '../../domain/agentAddress.ts';
import type { Hello } from '../frames/messages.ts';
import { type Frame, parseFrame } from '../frames/parseFrame.ts';
import type { DeliverableFrame } from './delivery.ts';
import { FencedByWorkerError, KernelProtocolError } from './kernelErrors.ts';
import { createLiveness, type Liveness } from './liveness.ts';
import { closeSocket, dialWorker, textOf } from './workerSocket.ts';

/**
 * Limit of each of two steps: from dialling to the answer to the upgrade, and from there to the hello. A stopped agent
 * never answers the upgrade. A running agent sends the hello immediately.
 */
const HANDSHAKE_TIMEOUT_MS = 5_000;
/** Limit of bytes sent but not read by the peer: enough for a few of the largest requests. An agent always reads. */
const MAX_UNREAD_BYTES = 32 * 1_048_576;
/** The agent's close code when another gateway connects with an equal or higher epoch (docs/worker-protocol.md). */
const CLOSE_CODE_FENCED = 4409;

export interface ConnectionDeps {
  readonly address: AgentAddress;
  readonly after: number;
  readonly epoch: number;
  readonly pingIntervalMs?: number;
  readonly handshakeTimeoutMs?: number;
  readonly now: () => number;
  /** May call `end`. */
  readonly onOpen: (hello: Hello) => void;
  /** Gets every frame except the hello, in order, only while the connection is open. */
  readonly onFrame: (frame: DeliverableFrame) => void;
  /** Called once, as the last callback. Not called after `close()`. */
  readonly onEnd: (error: Error) => void;
}

export interface Connection {
  /** Hands the frame to the socket. Returns false, and sends nothing, if the connection is not open. */
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
    if (this.#socket.bufferedAmount + frame.length > MAX_UNREAD_BYTES) {
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
