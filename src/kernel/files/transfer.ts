/** One HTTP request about files over a connection of its own, with bytes streamed in either direction. */
import {
  type ClientRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request,
} from 'node:http';
import { type Duplex, Readable } from 'node:stream';
import type { AgentAddress } from '../../domain/agentAddress.ts';
import { fileErrorOf } from './fileAnswers.ts';

// The limits of a transfer between gateway and agent, and the errors for a transfer that breaks off.

/**
 * The longest time without a byte on the connection. It is longer than the agent's own limits, so that the agent
 * answers first, with a more precise refusal. The agent's limits are 60 s for a silent transfer and 120 s for an
 * operation.
 */
const SILENCE_MS = 150_000;
/**
 * A header contains the entry of a file as JSON. Its path has up to 4 KiB, and each byte of the path may be escaped.
 */
const MAX_HEADER_BYTES = 131_072;

/** No byte was transferred for {@link SILENCE_MS}: the worker has stopped, or the reader or writer on this side. */
class SilenceError extends Error {
  constructor() {
    super(`Nothing moved between gateway and worker for ${SILENCE_MS} ms.`);
    this.name = 'SilenceError';
  }
}

/**
 * The body does not have the announced length. The agent would wait for missing bytes, and never read additional ones.
 */
class LengthError extends Error {
  constructor() {
    super('The body is longer or shorter than announced.');
    this.name = 'LengthError';
  }
}

/** The reason of an abort, as an error. */
function abortError(signal: AbortSignal | undefined): Error {
  return signal?.reason instanceof Error ? signal.reason : new Error('The transfer was aborted.');
}

// The memory of a download, which is reused.

/**
 * The size of a download's first piece of memory. It suffices for a small file with the head of its answer, so that
 * many small downloads do not need much memory. The later pieces have {@link PIECE_BYTES}. Even larger ones would stay
 * half empty, because a connection has at most some 200 KiB ready at once.
 */
const FIRST_BYTES = 65_536;
const PIECE_BYTES = 262_144;

interface Pieces {
  /** Unused memory: a piece that was given back, or new memory. */
  next(): Buffer;
  /** @param piece a view of the memory, or of a part of it */
  giveBack(piece: Buffer): void;
}

/**
 * Reuses memory. If each piece were left to V8's garbage collector, V8 would collect its whole heap again and again.
 * That would cost a download more than the bytes themselves do.
 */
function createPieces(): Pieces {
  const free: ArrayBufferLike[] = [];
  let made = 0;
  return {
    next: () => {
      const known = free.pop();
      if (known) return Buffer.from(known);
      made = made === 0 ? FIRST_BYTES : PIECE_BYTES;
      // `Slow` means: not from Node's pool of small buffers, whose memory is shared.
      return Buffer.allocUnsafeSlow(made);
    },
    giveBack: ({ buffer }) => {
      // The small first piece is not reused once larger pieces were made.
      if (buffer.byteLength === made) free.push(buffer);
    },
  };
}

// Parses the head of the agent's answer to a download (RFC 9112). Node's HTTP client is not used for downloads, because
// it copies each piece of a body.

interface AnswerHead {
  readonly status: number;
  /** The names are in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** The number of bytes of the body; null if the body lasts until the end of the connection. */
  readonly length: number | null;
}

const END = '\r\n\r\n';

/**
 * Reads a head from the beginning of an answer. Null if its end has not arrived yet.
 * @returns the head, and where the body begins
 * @throws Error if it is malformed or too long
 */
function parseHead(bytes: Buffer): { head: AnswerHead; bodyAt: number } | null {
  const end = bytes.indexOf(END);
  if (end > MAX_HEADER_BYTES || (end < 0 && bytes.length > MAX_HEADER_BYTES)) throw malformed();
  if (end < 0) return null;
  const [first = '', ...lines] = bytes.toString('latin1', 0, end).split('\r\n');
  const status = Number(/^HTTP\/1\.1 ([1-9]\d\d) /.exec(first)?.[1] ?? Number.NaN);
  const headers = Object.fromEntries(lines.map(headerOf));
  if (Number.isNaN(status) || headers['transfer-encoding'] !== undefined) throw malformed();
  return { head: { status, headers, length: lengthOf(status, headers) }, bodyAt: end + END.length };
}

function headerOf(line: string): [string, string] {
  const [, name, value] = /^([!#$%&'*+.^_`|~\w-]+):[ \t]*(.*?)[ \t]*$/.exec(line) ?? [];
  if (name === undefined || value === undefined) throw malformed();
  return [name.toLowerCase(), value];
}

function lengthOf(status: number, headers: Readonly<Record<string, string>>): number | null {
  if (status === 304) return 0;
  const text = headers['content-length'];
  if (text === undefined) return null;
  if (!/^\d{1,16}$/.test(text)) throw malformed();
  return Number(text);
}

function malformed(): Error {
  return new Error('The worker has answered with a malformed head.');
}

/** How many bytes of an upload may wait to be sent. This keeps both sides busy. A piece has up to 64 KiB. */
const MAX_WAITING_BYTES = 262_144;
export interface FileRequest {
  readonly method: 'GET' | 'PUT' | 'POST';
  /** With the query. */
  readonly path: string;
  /** The bytes to send. The request is made with `Expect: 100-continue`, so `body` is not read if the agent refuses. */
  readonly body?: Readable;
  /** The number of bytes of `body`. Left out: unknown, so the body is sent chunked. */
  readonly length?: number;
  /** Called with each piece of `body` that was sent. */
  readonly giveBack?: (piece: Buffer) => void;
}

export interface FileAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Fails if its end is missing. The connection stays open until the body is read to its end or destroyed. */
  readonly body: Readable;
}

/**
 * Resolves with the answer, whose body is not read yet, if its status is below 400.
 * @throws FileRefusedError, KernelHttpError for an answer that is not as agreed, else the connection's error
 */
export async function requestFiles(
  address: AgentAddress,
  ask: FileRequest,
  signal?: AbortSignal,
): Promise<FileAnswer> {
  signal?.throwIfAborted();
  const call = request({
    createConnection: () => address.open(),
    method: ask.method,
    path: ask.path,
    headers: headersOf(ask),
    maxHeaderSize: MAX_HEADER_BYTES,
  });
  const stop = () => call.destroy(abortError(signal));
  signal?.addEventListener('abort', stop, { once: true });
  call.on('close', () => signal?.removeEventListener('abort', stop));
  const silence = setTimeout(() => call.destroy(new SilenceError()), SILENCE_MS);
  call.on('close', () => clearTimeout(silence));
  try {
    const answer = await answerTo(call, ask, silence);
    const status = answer.statusCode ?? 0;
    if (status >= 400) throw await fileErrorOf({ status, body: answer }, ask);
    return { headers: answer.headers, status, body: watched(answer, silence) };
  } catch (error: unknown) {
    ask.body?.destroy();
    call.destroy();
    signal?.throwIfAborted();
    throw error;
  }
}

function headersOf({ body, length }: FileRequest): Record<string, string> {
  if (!body) return { connection: 'close' };
  const framing: Record<string, string> =
    length === undefined
      ? { 'transfer-encoding': 'chunked' }
      : { 'content-length': String(length) };
  return { connection: 'close', expect: '100-continue', ...framing };
}

/**
 * Sends the request, and its body when the agent asks for it. Resolves with the answer, which may arrive before the
 * whole body is sent.
 */
function answerTo(
  call: ClientRequest,
  ask: FileRequest,
  silence: NodeJS.Timeout,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    call.on('error', reject);
    const body = ask.body ? sendBody(call, ask.body, ask, silence) : null;
    call.on('response', (answer) => {
      // An agent that has answered needs nothing more of the body. The connection stays open for the rest of the
      // answer.
      body?.stop();
      resolve(answer);
    });
    if (body) call.flushHeaders();
    else call.end();
  });
}

/**
 * Sends `body` after the agent's `100 Continue`, as fast as the agent reads. If the body fails, or does not have the
 * announced length, the call is destroyed. This takes less CPU time for each piece than a pipe through a stream that
 * counts, and a large file has many pieces.
 */
function sendBody(
  call: ClientRequest,
  body: Readable,
  { length: expected, giveBack }: FileRequest,
  silence: NodeJS.Timeout,
): { stop(): void } {
  let bytes = 0;
  let isOver = false;
  const fail = (error: Error) => {
    if (!isOver) call.destroy(error);
  };
  const sent = (chunk: Buffer) => (error?: Error | null) => {
    if (!error) giveBack?.(chunk);
  };
  const send = (chunk: Buffer) => {
    if (isOver) return;
    silence.refresh();
    bytes += chunk.length;
    if (expected !== undefined && bytes > expected) fail(new LengthError());
    else if (!call.write(chunk, sent(chunk)) && call.writableLength > MAX_WAITING_BYTES)
      body.pause();
  };
  const end = () => {
    if (isOver) return;
    if (expected !== undefined && bytes !== expected) return fail(new LengthError());
    isOver = true;
    call.end();
  };
  // A body may also fail before the agent asks for it. A body that is closed before its end has failed.
  body.on('error', fail).on('close', () => fail(new LengthError()));
  call.on('continue', () => {
    call.on('drain', () => isOver || body.resume());
    body.on('data', send).on('end', end);
  });
  return {
    stop: () => {
      isOver = true;
      body.pause();
    },
  };
}

/** The body of an answer. Each piece restarts the timer for silence. */
function watched(answer: IncomingMessage, silence: NodeJS.Timeout): Readable {
  // The socket pauses while the body is not read, so its `data` events show whether bytes move. A stream that counts
  // would cost more.
  answer.socket.on('data', () => silence.refresh());
  // Without this listener, an error before the first read would end the process. The stream keeps the error for its
  // reader.
  answer.on('error', () => {});
  return answer;
}

// Downloads a file's content with a `GET` request over a separate connection. The bytes are read into memory that is
// reused, so a large file takes no more memory than a small one.

export interface Download {
  readonly status: number;
  readonly headers: AnswerHead['headers'];
  /** Fails if its end is missing. The connection stays open until the body is read to its end or destroyed. */
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

/** Sends the request. If the connection fails before the head has arrived, `head` rejects with the error. */
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
    // This listener stays, so that an error before the first read does not end the process. The stream keeps the error
    // for its reader.
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
  /** Returns false if the connection must pause until `body` is read. */
  take(piece: Buffer): boolean;
  /** The connection has ended. Idempotent. */
  end(): void;
}

/** Divides the arriving bytes into the head and `body`. The body fails if it does not have the announced length. */
function arrival(body: Readable, pieces: Pieces, onHead: (head: AnswerHead) => void): Arrival {
  let begun = Buffer.alloc(0);
  let head: AnswerHead | null = null;
  /** How many bytes of the body are missing. Null: the body lasts until the end of the connection. */
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
