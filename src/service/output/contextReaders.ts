/**
 * The offsets that named readers of contexts have reached. Acknowledgements are recorded together, a little later. If a
 * gateway is killed before that, its reader may get the news again that it acknowledged last.
 */
import { createHash } from 'node:crypto';
import { within } from '../../async/within.ts';
import { type ContextOffset, isDelivered } from '../../domain/context.ts';
import type {
  ContextReader,
  createContextReaderQueries,
  ReaderOffset,
} from '../../events/queries/sessionQueries.ts';

/** How often a gateway records, at most: one statement for all of its readers. */
const RECORD_INTERVAL_MS = 100;
/** The interval after a failure. */
const RETRY_MS = 1_000;
/** How long a gateway that stops waits for the database, which may be away. */
const CLOSE_LIMIT_MS = 2_000;

export interface ContextReaders {
  /** The offset that the reader has reached, at any gateway. Null: the reader is new. */
  find(reader: ContextReader): Promise<ContextOffset | null>;
  /**
   * Resolves when the offset of a new reader is recorded. If a context has very many readers, the oldest are forgotten.
   */
  begin(reader: ContextReader, offset: ContextOffset): Promise<void>;
  /** Must be called when the reader has reached this offset. */
  reached(reader: ContextReader, offset: ContextOffset): void;
  /** Resolves when everything that was reached is recorded. */
  recorded(): Promise<void>;
  /** Records what is left, if the database answers within 2 s. */
  close(): Promise<void>;
}

export interface ContextReadersDeps {
  readonly queries: Pick<
    ReturnType<typeof createContextReaderQueries>,
    'readerOffset' | 'recordReaders' | 'trimReaders'
  >;
  readonly logger: { warn(fields: object, message: string): void };
}

/** @param name the reader's name, of any characters */
export function readerOf(
  { id: contextId, sessionId }: { readonly id: string; readonly sessionId: string },
  name: string,
): ContextReader {
  const reader = createHash('sha256').update(name).digest('base64url');
  return { sessionId: sessionId as ContextReader['sessionId'], contextId, reader };
}

export function createContextReaders({ queries, logger }: ContextReadersDeps): ContextReaders {
  let waiting = new Map<string, ReaderOffset>();
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;
  /** The last statement. It never rejects. */
  let recording: Promise<void> = Promise.resolve();

  function keep(offset: ReaderOffset): void {
    const key = `${offset.contextId} ${offset.reader}`;
    const known = waiting.get(key);
    if (known === undefined || !isDelivered(offset, known)) waiting.set(key, offset);
  }

  /**
   * Records all offsets that wait, after the statement that is under way.
   * @throws what the database throws; the offsets then wait again
   */
  function record(): Promise<void> {
    const mine = recording.then(recordWaiting);
    recording = mine.catch(() => undefined);
    return mine;
  }

  async function recordWaiting(): Promise<void> {
    const offsets = [...waiting.values()];
    waiting = new Map();
    if (offsets.length === 0) return;
    try {
      await queries.recordReaders(offsets);
    } catch (error: unknown) {
      for (const offset of offsets) keep(offset);
      recordIn(RETRY_MS);
      throw error;
    }
  }

  function warn(err: unknown): void {
    logger.warn({ err }, 'Could not record the offsets of the readers of contexts');
  }

  function recordIn(ms: number): void {
    if (isClosed) return;
    timer ??= setTimeout(async () => {
      const hasFailed = await record().then(
        () => false,
        (error: unknown) => {
          warn(error);
          return true;
        },
      );
      timer = undefined;
      if (waiting.size > 0) recordIn(hasFailed ? RETRY_MS : RECORD_INTERVAL_MS);
    }, ms);
  }

  return {
    find: async (reader) => {
      // The answer must include the offsets that this gateway has not recorded yet.
      await record();
      return await queries.readerOffset(reader);
    },
    begin: async (reader, offset) => {
      keep({ ...reader, ...offset });
      await record();
      await queries.trimReaders(reader.contextId);
    },
    reached: (reader, offset) => {
      keep({ ...reader, ...offset });
      recordIn(RECORD_INTERVAL_MS);
    },
    recorded: record,
    close: async () => {
      isClosed = true;
      clearTimeout(timer);
      await within(CLOSE_LIMIT_MS, record().catch(warn), () => undefined);
    },
  };
}
