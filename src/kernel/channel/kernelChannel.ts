/**
 * Delivers a worker's messages, each once and in order, over as many connections as needed.
 *
 * ```
 *  connecting --hello--> open --lost, or the peer broke the protocol--> connecting (back-off)
 *       |                  |
 *       +------------------+--409, 4409--> closed (fenced: for good)
 *       +------------------+--close()----> closed
 * ```
 * Every connection asks for the messages after the last seq that is *stored* (acknowledged), because the agent frees
 * all messages that it is asked to skip. Messages that were delivered before are dropped here. So nothing is lost if
 * this gateway dies after it received a message and before it stored it.
 */

import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import type { AgentAddress } from '../../domain/agentAddress.ts';
import type { MessageCounts } from '../../domain/messageCounts.ts';
import { type CallAgent, createAgentCalls } from '../agent/createAgentCalls.ts';
import { type ExecuteMessage, executeRequestFrame } from '../execution.ts';
import type { Hello, KernelMessage } from '../frames/messages.ts';
import type { DeliverableFrame } from '../frames/parseFrame.ts';
import {
  type Connection,
  createReconnector,
  openConnection,
  type Reconnector,
} from './connection.ts';
import { FencedByWorkerError, KernelProtocolError } from './kernelErrors.ts';

/** A channel's position in the numbered messages of one agent. */
interface Sequence {
  /** The last seq seen. */
  readonly last: number;
  /** The last seq that is stored. */
  readonly acked: number;
  /**
   * Takes in a hello. Results:
   * - `same-boot`: the agent continues at the cursor.
   * - `new-boot`: the agent was restarted since the cursor, and this connection brings its messages from the first on.
   * - `ask-again`: the agent was restarted, but this connection asked it to skip messages; connect again.
   * - an Error: the agent no longer has the message that must come next.
   */
  greet(hello: Hello): 'same-boot' | 'new-boot' | 'ask-again' | KernelProtocolError;
  /** Whether a message is the next one or was seen before. An Error: another message was expected. */
  place(seq: number | null): 'next' | 'duplicate' | KernelProtocolError;
  /** Records that everything up to `seq` is stored. Returns whether this advances {@link Sequence.acked}. */
  ack(seq: number): boolean;
}

function createSequence(cursor: {
  readonly after: number;
  /** '' if no agent of this worker has been reached yet. */
  readonly bootId: string;
}): Sequence {
  let { bootId } = cursor;
  let acked = cursor.after;
  let last = cursor.after;
  /** The seq that this connection must bring next, duplicates included. */
  let expected = cursor.after + 1;
  /** The agent was restarted, and `greet` has not returned `new-boot` yet. */
  let isNewBoot = false;

  return {
    get last() {
      return last;
    },
    get acked() {
      return acked;
    },
    greet: (hello) => {
      if (bootId !== hello.bootId) {
        isNewBoot = bootId !== '';
        bootId = hello.bootId;
        const asked = acked;
        acked = 0;
        last = 0;
        if (asked !== 0) return 'ask-again';
      }
      if (hello.lastSeq < acked || (hello.lastSeq > acked && hello.firstSeq > acked + 1))
        return new KernelProtocolError(
          `The worker has messages ${hello.firstSeq} to ${hello.lastSeq}; ${acked + 1} must come next.`,
        );
      expected = acked + 1;
      const answer = isNewBoot ? 'new-boot' : 'same-boot';
      isNewBoot = false;
      return answer;
    },
    place: (seq) => {
      if (seq !== expected)
        return new KernelProtocolError(`Message ${seq} arrived, but ${expected} was expected.`);
      expected += 1;
      if (seq <= last) return 'duplicate';
      last = seq;
      return 'next';
    },
    ack: (seq) => {
      if (seq <= acked || seq > last) return false;
      acked = seq;
      return true;
    },
  };
}

/**
 * Takes in a frame, counts it, and hands on its message if it is the next in sequence. Returns whether the frame
 * advanced the channel, or an Error if another frame was expected.
 */
type Deliver = (frame: DeliverableFrame) => boolean | Error;

function createDelivery(deps: {
  readonly sequence: Sequence;
  readonly counts: MessageCounts;
  readonly onMessage: (message: KernelMessage) => void;
}): Deliver {
  const { sequence, counts, onMessage } = deps;
  return (frame) => {
    const place = sequence.place(frame.type === 'message' ? frame.message.seq : frame.seq);
    if (place instanceof Error) return place;
    if (place === 'duplicate') {
      counts.duplicates += 1;
      return false;
    }
    if (frame.type === 'dropped') {
      counts[frame.why] += 1;
    } else {
      if (frame.isMalformed) counts.invalid += 1;
      counts.delivered += 1;
      onMessage(frame.message);
    }
    return true;
  };
}

type ChannelState = 'connecting' | 'open' | 'closed';

export interface KernelChannelDeps {
  readonly address: AgentAddress;
  /** This gateway's lease epoch for the worker. */
  readonly epoch: number;
  /** The cursor: the last seq that is stored (0 if none), and the boot that it belongs to ('' if none). */
  readonly after: number;
  readonly bootId: string;
  readonly logger: Logger;
  /** Incremented by this channel. */
  readonly counts: MessageCounts;
  /** Gets each message once, in order. Must not throw. */
  readonly onMessage: (message: KernelMessage) => void;
  /**
   * Called at each connection, before its messages. `isNewBoot`: the agent was started again since the
   * cursor was stored. Its seqs start at 1, and everything that ran or was queued is gone.
   */
  readonly onHello?: (hello: Hello, isNewBoot: boolean) => void;
  /**
   * Called at each connection, after `onHello`. The owner must send again every request that has no outcome yet. A
   * repeated `msgId` is harmless.
   */
  readonly onOpen?: () => void;
  readonly onState?: (state: ChannelState) => void;
  /** Called once, when another gateway has the worker. The channel is already closed. */
  readonly onFenced?: () => void;
  /** Called once per outage, when every attempt has failed for `unreachableAfterMs`. The channel keeps trying. */
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
  /** The hello of the current or last connection. Null before the first one. */
  readonly hello: Hello | null;
  /** The last seq that was delivered or dropped. */
  readonly lastSeq: number;
  /** Works in any state of the connection. Closing the channel aborts pending calls. */
  readonly call: CallAgent;
  /** Sends the request now. If the channel is not open, returns false and sends nothing. Then wait for `onOpen`. */
  execute(request: ExecuteMessage): boolean;
  /**
   * Acknowledges that everything up to `seq` is stored. May be called in any state. A seq that was acknowledged before,
   * or that has not arrived yet, is ignored.
   */
  ack(seq: number): void;
  /** Stops reading the socket, so that the agent has to keep its messages. At most 64 KiB still arrive. */
  pause(): void;
  resume(): void;
  /** Idempotent. No callback is called after it. Resolves when the socket is closed. */
  close(): Promise<void>;
}

/** Delay in which acknowledgements are combined: each costs as much as a message, and nobody waits for it. */
const ACK_DELAY_MS = 20;
/** How long attempts may fail before `onUnreachable` is called. */
const UNREACHABLE_AFTER_MS = 10_000;

/** Connects immediately, and reconnects until it is closed or fenced. */
export function openKernelChannel(deps: KernelChannelDeps): KernelChannel {
  return new Channel(deps);
}

class Channel implements KernelChannel {
  readonly call: CallAgent;
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
  /** The `after` of the current connection. */
  #dialledAfter = 0;
  #isPaused = false;

  constructor(deps: KernelChannelDeps) {
    this.#deps = deps;
    this.#now = deps.now ?? Date.now;
    this.#sequence = createSequence(deps);
    this.#deliver = createDelivery({ ...deps, sequence: this.#sequence });
    this.call = createAgentCalls({ ...deps, signal: this.#aborter.signal });
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

  execute(request: ExecuteMessage): boolean {
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
    const { address, epoch, pingIntervalMs, handshakeTimeoutMs } = this.#deps;
    this.#dialledAfter = this.#sequence.acked;
    return openConnection({
      address,
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

  #opened(hello: Hello): void {
    const greeted = this.#sequence.greet(hello);
    if (greeted instanceof Error) {
      this.#connection.end(greeted);
    } else if (greeted === 'ask-again') {
      // `after` was a seq of another boot, but the messages of this boot are needed from the first one on.
      void this.#connection.close();
      this.#connection = this.#dial();
    } else {
      this.#deps.counts.connections += 1;
      this.hello = hello;
      // Messages were stored while this connection was being opened: acknowledge them now.
      if (this.#sequence.acked > this.#dialledAfter) this.#ackLater();
      if (this.#isPaused) this.#connection.pause();
      this.#reconnector.opened();
      this.#tellOpen(hello, greeted === 'new-boot');
    }
  }

  /** The owner may close the channel in any of these callbacks. */
  #tellOpen(hello: Hello, isNewBoot: boolean): void {
    this.#deps.onHello?.(hello, isNewBoot);
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
    // The owner may have closed the channel in `onState`.
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
