/**
 * A worker's messages, each once and in order, over as many connections as it takes.
 *
 * ```
 *  connecting --hello--> open --lost, or the peer broke the protocol--> connecting (back-off)
 *       |                  |
 *       +------------------+--409, 4409--> closed (fenced: for good)
 *       +------------------+--close()----> closed
 * ```
 * Every connection asks for what comes after the last seq that is *stored* (acknowledged), since the agent frees what
 * it is asked to skip; what was delivered already is dropped here. So nothing is lost if this gateway dies between
 * having a message and storing it.
 */
import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import type { MessageCounts } from '../../domain/messageCounts.ts';
import { type AgentHttp, createAgentHttp } from '../calls/agentHttp.ts';
import { type ExecuteRequest, executeRequestFrame } from '../execution/executeRequest.ts';
import type { Hello, KernelMessage } from '../frames/messages.ts';
import { type Connection, openConnection } from './connection.ts';
import { createDelivery, type Deliver, type DeliverableFrame } from './delivery.ts';
import { FencedByWorkerError } from './kernelErrors.ts';
import type { KernelTarget } from './kernelTarget.ts';
import { createReconnector, type Reconnector } from './reconnector.ts';
import { createSequence, type Sequence } from './sequence.ts';

export type ChannelState = 'connecting' | 'open' | 'closed';

export interface KernelChannelDeps {
  readonly target: KernelTarget;
  /** This gateway's lease epoch for the worker. */
  readonly epoch: number;
  /** The cursor: the last seq stored for good, 0 if none, and of which boot ('' if none yet). */
  readonly after: number;
  readonly bootId: string;
  readonly logger: Logger;
  /** Counted in. */
  readonly counts: MessageCounts;
  /** Each message once, in order. Must not throw. */
  readonly onMessage: (message: KernelMessage) => void;
  /**
   * At each connection to our agent, before its messages. `isNewBoot`: the agent is not the one the cursor came from, its
   * seqs start at 1 again, and whatever ran or was queued is gone.
   */
  readonly onHello?: (hello: Hello, isNewBoot: boolean) => void;
  /** At each connection, after `onHello`: send again what has no outcome yet (a repeated `msgId` is harmless). */
  readonly onOpen?: () => void;
  readonly onState?: (state: ChannelState) => void;
  /** Another gateway has the worker. The channel is closed by then; called once. */
  readonly onFenced?: () => void;
  /** Once per outage, when every attempt has failed for `unreachableAfterMs`. The channel goes on trying. */
  readonly onUnreachable?: (error: Error) => void;
  readonly now?: () => number;
  /** From 0 to below 1, for the back-off's jitter. */
  readonly random?: () => number;
  readonly unreachableAfterMs?: number;
  readonly pingIntervalMs?: number;
  readonly handshakeTimeoutMs?: number;
}

export interface KernelChannel {
  readonly state: ChannelState;
  /** Of the current or last connection; null before the first, and always against a plain Jupyter Server. */
  readonly hello: Hello | null;
  /** The last seq that was delivered or (being of no use) dropped. */
  readonly lastSeq: number;
  /** Ends what waits when the channel is closed. */
  readonly http: AgentHttp;
  /** Sends the request now. False (nothing was done): not open; `onOpen` will tell when. */
  execute(request: ExecuteRequest): boolean;
  /** Everything up to `seq` is stored for good. May be called in any state; a lower seq than before does nothing. */
  ack(seq: number): void;
  /** Stops reading the socket, so that the agent has to keep what comes; at most 64 KiB still arrive. */
  pause(): void;
  resume(): void;
  /** Idempotent. No callback comes after it was called. Resolves when the socket is closed. */
  close(): Promise<void>;
}

/** Acknowledgements gather so long: one costs gateway and agent as much as a message, and nobody waits for it. */
const ACK_DELAY_MS = 20;
/** How long attempts may fail before the owner is told. */
const UNREACHABLE_AFTER_MS = 10_000;

/** Connects at once and stays connected until closed or fenced. */
export function openKernelChannel(deps: KernelChannelDeps): KernelChannel {
  return new Channel(deps);
}

class Channel implements KernelChannel {
  readonly http: AgentHttp;
  state: ChannelState = 'connecting';
  hello: Hello | null = null;
  readonly #deps: KernelChannelDeps;
  readonly #now: () => number;
  readonly #session = randomUUID();
  readonly #aborter = new AbortController();
  readonly #sequence: Sequence;
  readonly #deliver: Deliver;
  readonly #reconnector: Reconnector;
  #connection: Connection;
  #ackTimer: NodeJS.Timeout | null = null;
  /** What the connection was asked to skip when it was made. */
  #dialledAfter = 0;
  #isPaused = false;

  constructor(deps: KernelChannelDeps) {
    this.#deps = deps;
    this.#now = deps.now ?? Date.now;
    this.#sequence = createSequence(deps);
    this.#deliver = createDelivery({ ...deps, sequence: this.#sequence });
    this.http = createAgentHttp({ ...deps, signal: this.#aborter.signal });
    this.#reconnector = createReconnector({
      connect: () => {
        this.#connection = this.#dial();
      },
      random: deps.random ?? Math.random,
      unreachableAfterMs: deps.unreachableAfterMs ?? UNREACHABLE_AFTER_MS,
      onUnreachable: (error) => deps.onUnreachable?.(error),
    });
    this.#connection = this.#dial();
  }

  get lastSeq(): number {
    return this.#sequence.last;
  }

  execute(request: ExecuteRequest): boolean {
    return this.#connection.send(executeRequestFrame(request, this.#session, this.#now()));
  }

  ack(seq: number): void {
    if (this.#sequence.ack(seq) && !this.#isClosed()) this.#ackLater();
  }

  pause(): void {
    this.#isPaused = true;
    if (this.state === 'open') this.#connection.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#connection.resume();
  }

  async close(): Promise<void> {
    if (this.#ackTimer !== null) this.#sendAck();
    this.#stop();
    await this.#connection.close();
  }

  #ackLater(): void {
    this.#ackTimer ??= setTimeout(() => this.#sendAck(), ACK_DELAY_MS);
  }

  #sendAck(): void {
    this.#dropAckTimer();
    this.#connection.send(`{"ack":${this.#sequence.acked}}`);
  }

  #dropAckTimer(): void {
    if (this.#ackTimer !== null) clearTimeout(this.#ackTimer);
    this.#ackTimer = null;
  }

  #dial(): Connection {
    const { target, epoch, pingIntervalMs, handshakeTimeoutMs } = this.#deps;
    this.#dialledAfter = this.#sequence.acked;
    return openConnection({
      target,
      epoch,
      after: this.#dialledAfter,
      now: this.#now,
      ...(pingIntervalMs === undefined ? {} : { pingIntervalMs }),
      ...(handshakeTimeoutMs === undefined ? {} : { handshakeTimeoutMs }),
      onOpen: (hello) => this.#opened(hello),
      onFrame: (frame) => this.#take(frame),
      onEnd: (error) => this.#lost(error),
    });
  }

  #opened(hello: Hello | null): void {
    const greeted = hello === null ? 'same-boot' : this.#sequence.greet(hello);
    if (greeted instanceof Error) {
      this.#connection.end(greeted);
    } else if (greeted === 'ask-again') {
      // The agent was asked to skip messages of another boot; those of this one must come from the first on.
      void this.#connection.close();
      this.#connection = this.#dial();
    } else {
      this.#deps.counts.connections += 1;
      this.hello = hello;
      // What was stored since it dialled has not been said to anybody.
      if (this.#sequence.acked > this.#dialledAfter) this.#ackLater();
      if (this.#isPaused) this.#connection.pause();
      this.#reconnector.opened();
      this.#tellOpen(hello, greeted === 'new-boot');
    }
  }

  /** The owner may close the channel from any of these. */
  #tellOpen(hello: Hello | null, isNewBoot: boolean): void {
    if (hello !== null) this.#deps.onHello?.(hello, isNewBoot);
    if (!this.#isClosed()) this.#setState('open');
    if (!this.#isClosed()) this.#deps.onOpen?.();
  }

  #take(frame: DeliverableFrame): void {
    const delivered = this.#deliver(frame);
    if (delivered instanceof Error) this.#connection.end(delivered);
    else if (delivered) this.#reconnector.proved();
  }

  #lost(error: Error): void {
    if (error instanceof FencedByWorkerError) {
      this.#stop();
      this.#deps.onState?.('closed');
      this.#deps.onFenced?.();
      return;
    }
    this.#deps.logger.debug({ err: error }, 'worker channel lost');
    this.#setState('connecting');
    // The owner may have closed the channel from onState.
    if (!this.#isClosed()) this.#reconnector.lost(error);
  }

  #setState(state: ChannelState): void {
    if (this.state === state) return;
    this.state = state;
    this.#deps.onState?.(state);
  }

  #isClosed(): boolean {
    return this.state === 'closed';
  }

  #stop(): void {
    this.#reconnector.close();
    this.#dropAckTimer();
    this.#aborter.abort();
    this.state = 'closed';
  }
}
