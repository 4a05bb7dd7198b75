/**
 * Keeps streams parked at a worker's agent, so that code in the worker reaches this gateway at once.
 *
 * ```
 *  dialling --101--> parked --0x01--> taken (the owner's) --> closed
 *     |                 |
 *     +------lost-------+--> dialled again after a pause
 *     +--409, 404: nothing is dialled any more
 * ```
 * The agent closes all streams of an epoch when a higher one comes.
 */
import type { Duplex } from 'node:stream';
import { backOffMs } from '../../async/backOffMs.ts';
import type { AgentAddress } from '../../domain/agentAddress.ts';
import { type DialledStream, dialStream, type NotTaken } from './dialStream.ts';

/** As many connections of code begin without waiting for a dialling, which takes about a millisecond. */
const SPARE_STREAMS = 4;
/** The first pause after a loss is short: code may be waiting. A worker that comes back is reached within a second. */
const BACK_OFF = { firstMs: 20, maxMs: 1_000 };
/** After a stream that was parked for so long, the next loss starts with the short pause again. */
const STABLE_AFTER_MS = 1_000;
/** HTTP statuses that another attempt would not change: the agent has no egress; a newer gateway has the worker. */
const NO_EGRESS = 404;
const FINAL_STATUSES = [NO_EGRESS, 409];
/** So many failures one after another, in some seconds, are told. */
const TOLD_FAILURES = 8;

export interface EgressStreamsDeps {
  readonly address: AgentAddress;
  /** This gateway's lease epoch for the worker. */
  readonly epoch: number;
  /** The most streams that are parked, dialled or taken at the same time. Code beyond that waits in the worker. */
  readonly maxConnections: number;
  /**
   * Gets each connection of code as a stream, which the callback owns: it reads what the code sends, and writes what the
   * code gets. Half-open: the end of one direction does not end the other, so whoever has read the end must end or
   * destroy the stream. Its errors are caught; `close` is emitted in any case.
   */
  readonly onStream: (stream: Duplex) => void;
  /**
   * Called at most once, with why code has no way out: the agent has no egress, or streams are lost again and again. Not
   * called if a newer gateway has the worker.
   */
  readonly onFailing?: (why: NotTaken) => void;
  /** From 0 to below 1, for the back-off's jitter. */
  readonly random?: () => number;
}

export interface EgressStreams {
  /** How many connections code has now. */
  readonly taken: number;
  /** Destroys all streams, also those that code has, and dials no more. Idempotent. */
  close(): void;
}

/** Dials immediately, and again whenever a stream was taken or lost. Never throws. */
export function openEgressStreams(deps: EgressStreamsDeps): EgressStreams {
  const spare = new Set<DialledStream>();
  const taken = new Set<Duplex>();
  let failures = 0;
  let isTold = false;
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
    // Code waits for this one, and for none that is dialled in its place.
    deps.onStream(stream);
    fill();
  }

  function tell(why: NotTaken): void {
    if (isTold) return;
    isTold = true;
    deps.onFailing?.(why);
  }

  /** One pause for all that were lost in the meantime. */
  function pauseAfter(why: NotTaken): void {
    const isFinal = why.kind === 'refused' && FINAL_STATUSES.includes(why.status);
    if (why.kind === 'refused' && why.status === NO_EGRESS) tell(why);
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
    if (failures >= TOLD_FAILURES) tell(why);
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
