/**
 * Stores the output of a build in pieces, as the output of its version. `seq` counts from 1, and the last item is the
 * finish. A further attempt at the build appends to the stored output.
 */
import type { EnvironmentId, ExecutionId } from '../domain/ids.ts';
import type { Finish, Output, OutputItem } from '../domain/output.ts';
import type { Database } from '../events/database.ts';
import { ConcurrencyError } from '../events/store/eventStore.ts';

/** How long text waits for more text, so that many lines become one row. */
const STORE_INTERVAL_MS = 250;
/** A piece is stored at once when it has grown to this size. */
const MAX_PIECE_CHARS = 64 * 1024;
/**
 * How much is kept from the beginning of the log, over all attempts, and from the end of each attempt. A gap event
 * stands for the text between them.
 */
const MAX_LOG_CHARS = 4 * 1024 * 1024;
const MAX_END_CHARS = 64 * 1024;
/** The gateway's first line of each attempt begins with this text. Attempts are counted by it. */
const BEGINNING = 'The build begins';

/** The id under which the log of a version's build is stored, like the output of an execution. */
export function logOf(id: EnvironmentId): ExecutionId {
  return id as string as ExecutionId;
}

export interface BuildLog {
  /** How many attempts there were before this one. */
  readonly formerAttempts: number;
  /** Adds text that the build printed. */
  add(text: string): void;
  /** Adds a line of the gateway. */
  say(line: string): void;
  /** The last lines of the build, for the event. */
  lastLines(): string;
  /** Stores the remaining text of an interrupted build, which may be attempted again. */
  breakOff(): Promise<void>;
  /**
   * Stores the remaining text. Returns the last items, which belong in the commit that records the end of the build.
   * @param failure why the build failed. Null: it succeeded
   */
  end(failure: string | null): Promise<readonly OutputItem[]>;
}

const MAX_LAST_LINES = 40;
const MAX_LAST_CHARS = 8 * 1024;

type LogDeps = Pick<Database, 'store' | 'queries'>;

export async function openBuildLog(
  { store, queries }: LogDeps,
  id: EnvironmentId,
  now: () => Date,
): Promise<BuildLog> {
  const executionId = logOf(id);
  const former = await queries.buildLogSize(executionId, BEGINNING);
  let { lastSeq } = former;
  let waiting: Output[] = [];
  let piece = '';
  let kept = former.bytes;
  let dropped = 0;
  let end = '';
  /** The items that are not known to be stored, in order. */
  let unstored: OutputItem[] = [];
  let mayBeStored = false;
  let storing: Promise<void> = Promise.resolve();
  let timer: NodeJS.Timeout | null = null;

  function numbered(outputs: readonly (Output | Finish)[]): OutputItem[] {
    return outputs.map((output) => {
      lastSeq += 1;
      return { executionId, seq: lastSeq, at: now(), output };
    });
  }

  function take(outputs: readonly Output[]): void {
    unstored.push(...numbered(outputs));
    if (unstored.length === 0) return;
    // Commits are made one after the other. If the last one fails, `breakOff` or `end` throws its error.
    storing = storing.catch(() => undefined).then(storeRest);
    storing.catch(() => undefined);
  }

  /** Stores all unstored items, including those of an earlier commit that failed. */
  async function storeRest(): Promise<void> {
    if (mayBeStored) {
      const stored = await queries.buildLogSize(executionId, BEGINNING);
      unstored = unstored.filter(({ seq }) => seq > stored.lastSeq);
    }
    const items = [...unstored];
    if (items.length === 0) return;
    try {
      await store.commit({ streams: [], outputs: items });
    } catch (error: unknown) {
      // After a conflict, the stored items are those of another builder.
      mayBeStored = !(error instanceof ConcurrencyError);
      throw error;
    }
    mayBeStored = false;
    unstored = unstored.slice(items.length);
  }

  function flush(): void {
    if (timer !== null) clearTimeout(timer);
    timer = null;
    endPiece();
    take(waiting);
    waiting = [];
  }

  function endPiece(): void {
    if (piece !== '') waiting.push({ kind: 'stream', name: 'stdout', text: piece });
    piece = '';
  }

  function flushLater(): void {
    if (piece.length >= MAX_PIECE_CHARS) flush();
    else timer ??= setTimeout(flush, STORE_INTERVAL_MS);
  }

  function addEnd(): void {
    if (dropped === 0) return;
    const text = end.slice(-Math.min(dropped, MAX_END_CHARS));
    const droppedBytes = dropped - text.length;
    dropped = 0;
    if (droppedBytes > 0) waiting.push({ kind: 'gap', reason: 'log-limit', droppedBytes });
    waiting.push({ kind: 'stream', name: 'stdout', text });
  }

  const anew = ' anew: it was broken off, for example because a gateway stopped';
  take([line(`${BEGINNING}${lastSeq > 0 ? anew : ''}.`)]);

  return {
    formerAttempts: former.attempts,
    add: (text) => {
      // `end` grows to twice its size before it is cut, so that cutting is rare.
      end = (end.length > 2 * MAX_END_CHARS ? end.slice(-MAX_END_CHARS) : end) + text;
      if (kept + text.length > MAX_LOG_CHARS) {
        dropped += text.length;
        kept = MAX_LOG_CHARS;
        return;
      }
      kept += text.length;
      piece += text;
      flushLater();
    },
    say: (text) => {
      endPiece();
      addEnd();
      waiting.push(line(text));
      flushLater();
    },
    lastLines: () => lastLinesOf(end),
    breakOff: async () => {
      flush();
      await storing;
    },
    end: async (failure) => {
      endPiece();
      addEnd();
      flush();
      await storing;
      const failures = failure === null ? [] : [failed(failure)];
      return numbered([...failures, { kind: 'finish' }]);
    },
  };
}

function failed(value: string): Output {
  return { kind: 'error', name: 'EnvironmentBuildFailed', value, traceback: [] };
}

function line(text: string): Output {
  return { kind: 'stream', name: 'stderr', text: `${text}\n` };
}

/**
 * The last lines, without the engine's lines about containers and layers, and without NUL, which PostgreSQL rejects.
 */
function lastLinesOf(text: string): string {
  const all = text.replaceAll('\0', '').trimEnd().split('\n');
  const lines = all.filter((each) => !each.startsWith(' ---> '));
  return lines.slice(-MAX_LAST_LINES).join('\n').slice(-MAX_LAST_CHARS).toWellFormed();
}
