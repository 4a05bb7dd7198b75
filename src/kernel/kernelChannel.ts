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
import { type AgentHttp, createAgentHttp } from './agentHttp.ts';
import { type Connection, openConnection } from './connection.ts';
import { type ExecuteRequest, executeRequestFrame } from './executeRequest.ts';
import { FencedByWorkerError } from './kernelErrors.ts';
import type { KernelTarget } from './kernelTarget.ts';
import type { Hello, KernelMessage } from './messages.ts';
import { createReconnector } from './reconnector.ts';
import { createSequence } from './sequence.ts';

export type ChannelState = 'connecting' | 'open' | 'closed';

export interface KernelChannelDeps {
  readonly target: KernelTarget;
  /** This gateway's lease epoch for the worker. */
  readonly epoch: number;
  /** The cursor: the last seq stored for good, 0 if none, and of which boot ('' if none yet). */
  readonly after: number;
  readonly bootId: string;
  readonly logger: Logger;
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
}

export interface ChannelStats {
  readonly connections: number;
  readonly delivered: number;
  /** Delivered before; sent again after a reconnect. */
  readonly duplicates: number;
  /** Not understood and dropped, or delivered as a gap. */
  readonly invalid: number;
  /** Of types that concern nobody. */
  readonly ignored: number;
}

/** `health`, `usage`, `interrupt` and `restart` reject against a plain Jupyter Server, which has other routes. */
export interface KernelChannel extends AgentHttp {
  readonly state: ChannelState;
  /** Of the current or last connection; null before the first, and always against a plain Jupyter Server. */
  readonly hello: Hello | null;
  /** The last seq that was delivered or (being of no use) dropped. */
  readonly lastSeq: number;
  readonly stats: ChannelStats;
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

/** How long attempts may fail before the owner is told. */
const UNREACHABLE_AFTER_MS = 10_000;

/** Connects at once and stays connected until closed or fenced. */
export function openKernelChannel(deps: KernelChannelDeps): KernelChannel {
  const { target, epoch, logger } = deps;
  const now = deps.now ?? Date.now;
  const session = randomUUID();
  const aborter = new AbortController();
  const sequence = createSequence({ after: deps.after, bootId: deps.bootId });
  const stats = { connections: 0, delivered: 0, duplicates: 0, invalid: 0, ignored: 0 };
  let state: ChannelState = 'connecting';
  let hello: Hello | null = null;
  let isPaused = false;
  let connection: Connection;

  const setState = (next: ChannelState): void => {
    if (state === next) return;
    state = next;
    deps.onState?.(next);
  };
  const reconnector = createReconnector({
    connect: () => {
      connection = dial();
    },
    random: deps.random ?? Math.random,
    unreachableAfterMs: deps.unreachableAfterMs ?? UNREACHABLE_AFTER_MS,
    onUnreachable: (error) => deps.onUnreachable?.(error),
  });

  const dial = (): Connection =>
    openConnection({
      target,
      epoch,
      after: sequence.acked,
      now,
      ...(deps.pingIntervalMs === undefined ? {} : { pingIntervalMs: deps.pingIntervalMs }),
      onOpen: (said) => {
        const greeted = said === null ? null : sequence.greet(said);
        if (greeted instanceof Error) return connection.end(greeted);
        if (greeted === 'ask-again') return redial();
        stats.connections += 1;
        hello = said;
        if (isPaused) connection.pause();
        reconnector.opened();
        if (said !== null) deps.onHello?.(said, greeted === 'new-boot');
        if (state !== 'closed') setState('open');
        if (state === 'open') deps.onOpen?.();
      },
      onFrame: (frame) => {
        const { seq } = frame.type === 'message' ? frame.message : frame;
        const place = target.kind === 'jupyter' ? 'next' : sequence.place(seq);
        if (place instanceof Error) return connection.end(place);
        if (place === 'duplicate') {
          stats.duplicates += 1;
          return;
        }
        reconnector.proved();
        if (frame.type === 'dropped') {
          stats[frame.why] += 1;
          return;
        }
        if (frame.isMalformed) stats.invalid += 1;
        stats.delivered += 1;
        deps.onMessage(frame.message);
      },
      onEnd: (error) => {
        if (error instanceof FencedByWorkerError) return fenced();
        logger.debug({ err: error }, 'worker channel lost');
        setState('connecting');
        // The owner may have closed the channel from onState.
        if (!aborter.signal.aborted) reconnector.lost(error);
      },
    });

  /** The agent is another than the cursor's, and was asked to skip messages that it never made for us. */
  const redial = (): void => {
    void connection.close();
    connection = dial();
  };
  const stop = (): void => {
    reconnector.close();
    aborter.abort();
    state = 'closed';
  };
  const fenced = (): void => {
    stop();
    deps.onState?.('closed');
    deps.onFenced?.();
  };

  connection = dial();
  return {
    ...httpOf(target, epoch, aborter.signal),
    get state() {
      return state;
    },
    get hello() {
      return hello;
    },
    get lastSeq() {
      return sequence.last;
    },
    stats,
    execute: (request) => connection.send(executeRequestFrame(request, session, now())),
    ack: (seq) => {
      if (sequence.ack(seq)) connection.send(`{"ack":${seq}}`);
    },
    pause: () => {
      isPaused = true;
      if (state === 'open') connection.pause();
    },
    resume: () => {
      isPaused = false;
      connection.resume();
    },
    close: async () => {
      if (state !== 'closed') stop();
      await connection.close();
    },
  };
}

function httpOf(target: KernelTarget, epoch: number, signal: AbortSignal): AgentHttp {
  if (target.kind === 'agent')
    return createAgentHttp({ socketPath: target.socketPath, epoch, signal });
  const unavailable = () => Promise.reject(new Error('A plain Jupyter Server has no such route.'));
  return { health: unavailable, usage: unavailable, interrupt: unavailable, restart: unavailable };
}
