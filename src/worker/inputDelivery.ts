/**
 * Hands the recorded input of a worker's executions to its agent, each byte once and in order. The agent counts the
 * bytes that it has taken, and skips bytes that it already has. The next holder of the worker asks for that count and
 * continues there. So deliveries need not be recorded (docs/decisions/0043-input-has-an-offset.md).
 *
 * ```
 *  idle --input is recorded, and the execution runs--> delivering --all is taken--> idle
 *                                                          |
 *                                                          +--the agent no longer runs it--> forgotten
 * ```
 */

import type { Logger } from 'pino';
import { pause } from '../async/pause.ts';
import { messageOf } from '../domain/errors.ts';
import type { Execution } from '../domain/execution.ts';
import type { ExecutionId } from '../domain/ids.ts';
import type { Queries } from '../events/queries/createQueries.ts';
import type { ReadInput } from '../events/queries/executionQueries.ts';
import type { CallAgent } from '../kernel/agent/createAgentCalls.ts';
import { MAX_CALL_INPUT_BYTES } from '../kernel/agent/operations.ts';

/**
 * Reads the recorded input of one execution in pieces that fit into a call to the agent. It keeps one piece until the
 * agent has taken all of it. So it keeps at most {@link MAX_CALL_INPUT_BYTES} for an execution that does not read its
 * input.
 */
export interface InputReader {
  /**
   * The bytes from `offset` on: the rest of the kept piece, or else at most as many as fit into one call. Empty if
   * there are none.
   * @throws Error if secret bytes are gone, because the execution has ended
   */
  read(offset: number): Promise<Buffer>;
  /** The agent has taken everything before `offset`. The kept piece is dropped if it ends there or earlier. */
  forget(offset: number): void;
}

const NOTHING: { readonly start: number; readonly bytes: Buffer } = {
  start: 0,
  bytes: Buffer.alloc(0),
};

export function createInputReader(readInput: Queries['inputIn'], id: ExecutionId): InputReader {
  let kept = NOTHING;
  /** No event before this version has bytes at this offset or later. */
  let known: Pick<ReadInput, 'offset' | 'version'> = { offset: 0, version: 1 };

  async function readAt(start: number): Promise<Buffer> {
    const range = { start, end: start + MAX_CALL_INPUT_BYTES };
    // Pieces before the known one are read only if the agent's count went back, which happens if an answer was lost.
    const pieces = await readInput(id, range, known.offset <= start ? known.version : 1);
    const [first] = pieces;
    if (first) known = { offset: first.offset, version: first.version };
    const parts = pieces.map(({ offset, bytes }) => {
      if (bytes === null) throw new Error('The input is gone: its execution has ended.');
      return bytes.subarray(Math.max(0, start - offset), range.end - offset);
    });
    return Buffer.concat(parts);
  }

  return {
    read: async (offset) => {
      const isKept = offset >= kept.start && offset < kept.start + kept.bytes.length;
      if (!isKept) kept = { start: offset, bytes: await readAt(offset) };
      return kept.bytes.subarray(offset - kept.start);
    },
    forget: (offset) => {
      if (offset >= kept.start + kept.bytes.length) kept = NOTHING;
    },
  };
}

/** Avoids a tight loop. If the agent does not answer for a long time, the worker's channel reports it. */
const RETRY_DELAY_MS = 250;
/** An agent without room waits before it answers. This pause limits the calls to an agent that answers at once. */
const FULL_PAUSE_MS = 100;

interface InputDeliveryDeps {
  readonly logger: Logger;
  readonly call: CallAgent;
  readonly readInput: Queries['inputIn'];
  /** Whether the agent has begun the execution, and its end is not known yet. */
  readonly isRunning: (id: ExecutionId) => boolean;
}

/** How much input is recorded for an execution. */
interface RecordedInput {
  readonly bytes: number;
  /** Whether no more can follow. */
  readonly isClosed: boolean;
}

export interface InputDelivery {
  /** This much input is recorded. It is delivered now, or when the execution runs. */
  recorded(id: ExecutionId, input: RecordedInput): void;
  /** The agent has begun the execution, perhaps under a former holder. */
  begun(execution: Execution): void;
  ended(id: ExecutionId): void;
  /** Sends nothing more. The worker's next holder continues. Idempotent. */
  close(): void;
}

/** The input of one execution. */
interface Delivery {
  recorded: RecordedInput;
  /** How many bytes the agent has taken. Null: it must be asked. */
  taken: number | null;
  isEndTaken: boolean;
  readonly reader: InputReader;
  isActive: boolean;
}

export function createInputDelivery(deps: InputDeliveryDeps): InputDelivery {
  const closing = new AbortController();
  const deliveries = new Map<ExecutionId, Delivery>();

  const isDue = (id: ExecutionId, each: Delivery) =>
    !closing.signal.aborted &&
    deliveries.get(id) === each &&
    deps.isRunning(id) &&
    !isAllTaken(each);

  /** Asks for the agent's count of bytes. If it is known, sends the bytes that follow. */
  async function step(id: ExecutionId, each: Delivery): Promise<void> {
    const offset = each.taken ?? 0;
    const bytes = each.taken === null ? Buffer.alloc(0) : await each.reader.read(offset);
    const upTo = offset + bytes.length;
    const { recorded } = each;
    const close = each.taken !== null && recorded.isClosed && upTo >= recorded.bytes;
    const answer = await deps.call('input', { msgId: id, offset, bytes, close });
    // The agent does not run the execution any more. Its end has been reported, or will be.
    if (!answer.known) deliveries.delete(id);
    const isFull = each.taken === answer.accepted && !answer.closed;
    each.taken = answer.accepted;
    each.reader.forget(answer.accepted);
    each.isEndTaken = answer.closed;
    if (isFull) await pause(FULL_PAUSE_MS, closing.signal);
  }

  async function deliver(id: ExecutionId, each: Delivery): Promise<void> {
    if (each.isActive) return;
    each.isActive = true;
    while (isDue(id, each)) {
      try {
        await step(id, each);
      } catch (error: unknown) {
        if (!isDue(id, each)) continue;
        // The agent may have taken the bytes although its answer was lost.
        each.taken = null;
        const details = { error: messageOf(error), executionId: id };
        deps.logger.warn(details, 'an agent did not take input; trying again');
        await pause(RETRY_DELAY_MS, closing.signal);
      }
    }
    each.isActive = false;
  }

  function put(id: ExecutionId, { bytes, isClosed }: RecordedInput): void {
    const each = deliveries.get(id) ?? newDelivery(createInputReader(deps.readInput, id));
    deliveries.set(id, each);
    each.recorded = {
      bytes: Math.max(each.recorded.bytes, bytes),
      isClosed: each.recorded.isClosed || isClosed,
    };
    void deliver(id, each);
  }

  return {
    recorded: put,
    begun: ({ id, inputBytes: bytes, inputClosed: isClosed }) => {
      if (bytes > 0 || isClosed || deliveries.has(id)) put(id, { bytes, isClosed });
    },
    ended: (id) => {
      deliveries.delete(id);
    },
    close: () => closing.abort(),
  };
}

function newDelivery(reader: InputReader): Delivery {
  const recorded = { bytes: 0, isClosed: false };
  return { recorded, taken: null, isEndTaken: false, reader, isActive: false };
}

function isAllTaken({ recorded, taken, isEndTaken }: Delivery): boolean {
  return taken !== null && taken >= recorded.bytes && (isEndTaken || !recorded.isClosed);
}
