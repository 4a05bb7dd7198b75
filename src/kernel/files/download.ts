/**
 * Reads content from the agent over a connection of its own: `GET` without a body, whose answer has a length. The bytes
 * land in memory that is used again, so a large file costs no more memory than a small one.
 */
import { type Duplex, Readable } from 'node:stream';
import type { AgentAddress } from '../../domain/agentAddress.ts';
import { type AnswerHead, parseHead } from './answerHead.ts';
import { fileErrorOf } from './fileRefusal.ts';
import { createPieces, type Pieces } from './pieces.ts';
import { abortError, LengthError, SILENCE_MS, SilenceError } from './transferErrors.ts';

export interface Download {
  readonly status: number;
  readonly headers: AnswerHead['headers'];
  /** Fails if its end is missing. The connection lasts until it is read to its end or destroyed. */
  readonly body: Readable;
  /** See `FileContent`. */
  readonly giveBack: (piece: Buffer) => void;
}

/**
 * Resolves with the answer, whose body is not read yet, if its status is below 400.
 * @param path with its query
 * @throws FileRefusedError, KernelHttpError for an answer that is not as agreed, else the connection's error
 */
export async function download(
  address: AgentAddress,
  path: string,
  signal?: AbortSignal,
): Promise<Download> {
  signal?.throwIfAborted();
  const pieces = createPieces();
  const { body, head } = connect(address, path, pieces);
  const stop = () => body.destroy(abortError(signal));
  signal?.addEventListener('abort', stop, { once: true });
  body.on('close', () => signal?.removeEventListener('abort', stop));
  const { status, headers } = await head;
  if (status >= 400) throw await fileErrorOf({ status, body }, { method: 'GET', path });
  return { status, headers, body, giveBack: pieces.giveBack };
}

/** Sends the request. If the connection fails before the head is there, `head` rejects with the error. */
function connect(
  address: AgentAddress,
  path: string,
  pieces: Pieces,
): { body: Readable; head: Promise<AnswerHead> } {
  let socket: Duplex | null = null;
  const body = new Readable({
    // While one piece waits, the next one stays in the connection.
    highWaterMark: 1,
    read: () => void socket?.resume(),
    destroy: (error, done) => {
      clearTimeout(silence);
      socket?.destroy();
      done(error);
    },
  });
  const silence = setTimeout(() => body.destroy(new SilenceError()), SILENCE_MS);
  const head = new Promise<AnswerHead>((resolve, reject) => {
    // The listener stays. An error before anybody reads stays in the stream, too, and reaches whoever reads then.
    body.on('error', reject);
    const { take, end } = arrival(body, pieces, resolve);
    socket = address.open({
      buffer: pieces.next,
      callback: (count, memory) => {
        silence.refresh();
        return take(Buffer.from(memory.buffer, memory.byteOffset, count));
      },
    });
    socket.on('error', (error) => body.destroy(error)).on('end', end);
    socket.on('close', end).write(requestOf(path));
  });
  return { body, head };
}

const requestOf = (path: string) =>
  `GET ${path} HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n\r\n`;

interface Arrival {
  /** False: no more is wanted before `body` is read. */
  take(piece: Buffer): boolean;
  /** No more comes. May be called again. */
  end(): void;
}

/** Divides what arrives into the head and `body`, which fails if it is not as long as announced. */
function arrival(body: Readable, pieces: Pieces, onHead: (head: AnswerHead) => void): Arrival {
  let begun = Buffer.alloc(0);
  let head: AnswerHead | null = null;
  /** Null: the body lasts until the end. */
  let left: number | null = null;
  const pass = (piece: Buffer): boolean => {
    if (left !== null && piece.length > left) throw new LengthError();
    if (left !== null) left -= piece.length;
    const isWanted = piece.length === 0 || body.push(piece);
    if (left === 0) body.push(null);
    return isWanted && left !== 0;
  };
  const begin = (piece: Buffer): boolean => {
    begun = Buffer.concat([begun, piece]);
    pieces.giveBack(piece);
    const parsed = parseHead(begun);
    if (!parsed) return true;
    head = parsed.head;
    left = head.length;
    onHead(head);
    return pass(begun.subarray(parsed.bodyAt));
  };
  return {
    take: (piece) => {
      try {
        return head ? pass(piece) : begin(piece);
      } catch (error: unknown) {
        body.destroy(error instanceof Error ? error : new Error('Reading failed.'));
        return false;
      }
    },
    end: () => {
      if (!head || left) body.destroy(new LengthError());
      else if (left === null) body.push(null);
      left = 0;
    },
  };
}
