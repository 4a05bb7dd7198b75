/**
 * What a build prints, stored in pieces as the output of its version: `seq` counts from 1, and the last item is the
 * finish. A build that begins anew goes on after what is stored.
 */
import type { EnvironmentId, ExecutionId } from '../domain/ids.ts';
import type { Finish, Output, OutputItem } from '../domain/output.ts';
import type { Database } from '../events/database.ts';

/** How long text waits for more, so that a page of lines is one row. */
const STORE_INTERVAL_MS = 250;
/** A piece is stored at once when it has grown to this size. */
const MAX_PIECE_CHARS = 64 * 1024;
/** Of all attempts, so much is kept from the beginning, and of each so much from its end. A gap says what is missing. */
const MAX_LOG_CHARS = 4 * 1024 * 1024;
const MAX_END_CHARS = 64 * 1024;
/** So begins what the gateway says of each attempt. Attempts are counted by it. */
const BEGINNING = 'The build begins';

/** The outputs of a version are those of its build. */
export function logOf(id: EnvironmentId): ExecutionId {
  return id as string as ExecutionId;
}

export interface BuildLog {
  /** How many attempts there were before this one. */
  readonly formerAttempts: number;
  /** Text of the build. */
  add(text: string): void;
  /** A line of the gateway's own. */
  say(line: string): void;
  /** The last lines of the build, for the event. */
  lastLines(): string;
  /** Stores what is left of a build that is broken off, and may begin anew. */
  breakOff(): Promise<void>;
  /**
   * Stores what is left, except for the end, which it gives: that belongs into the commit that says how the build ended.
   * @param failure why it failed. Null: it has not
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
  let storing: Promise<unknown> = Promise.resolve();
  let timer: NodeJS.Timeout | null = null;

  function numbered(outputs: readonly (Output | Finish)[]): OutputItem[] {
    return outputs.map((output) => {
      lastSeq += 1;
      return { executionId, seq: lastSeq, at: now(), output };
    });
  }

  function take(outputs: readonly Output[]): void {
    if (outputs.length === 0) return;
    const items = numbered(outputs);
    // One after the other. A failure is that of `breakOff` or `end`.
    storing = storing.then(() => store.commit({ streams: [], outputs: items }));
    storing.catch(() => undefined);
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

  const anew = ' anew: it was broken off, as by the end of a gateway';
  take([line(`${BEGINNING}${lastSeq > 0 ? anew : ''}.`)]);

  return {
    formerAttempts: former.attempts,
    add: (text) => {
      // Twice the size, so that it is cut seldom.
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
      const told = failure === null ? [] : [failed(failure)];
      return numbered([...told, { kind: 'finish' }]);
    },
  };
}

function failed(value: string): Output {
  return { kind: 'error', name: 'EnvironmentBuildFailed', value, traceback: [] };
}

function line(text: string): Output {
  return { kind: 'stream', name: 'stderr', text: `${text}\n` };
}

/** Without what the engine says of its own containers and layers. PostgreSQL takes no NUL, so that is left out. */
function lastLinesOf(text: string): string {
  const all = text.replaceAll('\0', '').trimEnd().split('\n');
  const lines = all.filter((each) => !each.startsWith(' ---> '));
  return lines.slice(-MAX_LAST_LINES).join('\n').slice(-MAX_LAST_CHARS).toWellFormed();
}
