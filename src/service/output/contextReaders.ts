/**
 * How far those that follow contexts under a name have come. What they acknowledge is recorded together, and not at once:
 * a reader whose gateway is killed may be told again what it acknowledged last.
 */
import { createHash } from 'node:crypto';
import { type ContextPlace, isTold } from '../../domain/contextPlace.ts';
import type {
  ContextReader,
  createContextReaderQueries,
  ReachedPlace,
} from '../../events/queries/contextReaderQueries.ts';

/** How often a gateway records, at most: one statement for all of its readers. */
const RECORD_INTERVAL_MS = 100;
/** After a failure. */
const RETRY_MS = 1_000;

export interface ContextReaders {
  /** How far it has come, at any gateway. Null: it is new. */
  find(reader: ContextReader): Promise<ContextPlace | null>;
  /** Resolves when the place of a new reader is recorded. Of very many readers of a context, the oldest are forgotten. */
  begin(reader: ContextReader, place: ContextPlace): Promise<void>;
  /** It has come as far as this. */
  reached(reader: ContextReader, place: ContextPlace): void;
  /** Resolves when everything that was reached is recorded. */
  recorded(): Promise<void>;
  /** Records what is left. */
  close(): Promise<void>;
}

export interface ContextReadersDeps {
  readonly queries: Pick<
    ReturnType<typeof createContextReaderQueries>,
    'readerPlace' | 'recordReaders' | 'trimReaders'
  >;
  readonly logger: { warn(fields: object, message: string): void };
}

/** @param name what the reader calls itself, in whatever characters */
export function readerOf(
  { id: contextId, sessionId }: { readonly id: string; readonly sessionId: string },
  name: string,
): ContextReader {
  const reader = createHash('sha256').update(name).digest('base64url');
  return { sessionId: sessionId as ContextReader['sessionId'], contextId, reader };
}

export function createContextReaders({ queries, logger }: ContextReadersDeps): ContextReaders {
  let waiting = new Map<string, ReachedPlace>();
  let timer: NodeJS.Timeout | undefined;
  let recording: Promise<void> = Promise.resolve();

  function keep(place: ReachedPlace): void {
    const key = `${place.contextId} ${place.reader}`;
    const known = waiting.get(key);
    if (known === undefined || !isTold(place, known)) waiting.set(key, place);
  }

  /** Records all that waits. @throws what the database throws; nothing is lost then */
  async function record(): Promise<void> {
    const places = [...waiting.values()];
    waiting = new Map();
    if (places.length === 0) return;
    try {
      await queries.recordReaders(places);
    } catch (error: unknown) {
      for (const place of places) keep(place);
      throw error;
    }
  }

  function recordIn(ms: number): void {
    timer ??= setTimeout(() => {
      recording = record().then(
        () => next(RECORD_INTERVAL_MS),
        (err: unknown) => {
          logger.warn({ err }, 'Could not record how far readers of kernels have come');
          next(RETRY_MS);
        },
      );
    }, ms);
  }

  function next(ms: number): void {
    timer = undefined;
    if (waiting.size > 0) recordIn(ms);
  }

  /** Whoever asks must see what this gateway knows already. */
  async function recordNow(): Promise<void> {
    await recording;
    await record();
  }

  return {
    find: async (reader) => {
      await recordNow();
      return await queries.readerPlace(reader);
    },
    begin: async (reader, place) => {
      keep({ ...reader, ...place });
      await recordNow();
      await queries.trimReaders(reader.contextId);
    },
    reached: (reader, place) => {
      keep({ ...reader, ...place });
      recordIn(RECORD_INTERVAL_MS);
    },
    recorded: recordNow,
    close: async () => {
      clearTimeout(timer);
      await recordNow();
    },
  };
}
