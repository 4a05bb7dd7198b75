/** One HTTP request about files over a connection of its own, with bytes streamed in either direction. */
import {
  type ClientRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request,
} from 'node:http';
import type { Readable } from 'node:stream';
import type { AgentAddress } from '../../domain/agentAddress.ts';
import { fileErrorOf } from './fileRefusal.ts';
import {
  abortError,
  LengthError,
  MAX_HEADER_BYTES,
  SILENCE_MS,
  SilenceError,
} from './transferErrors.ts';

/** How much of an upload may wait for the agent. It keeps both sides busy; a piece has up to 64 KiB. */
const MAX_WAITING_BYTES = 262_144;
export interface FileRequest {
  readonly method: 'GET' | 'PUT' | 'POST';
  /** With the query. */
  readonly path: string;
  /** The bytes to send. The request is made with `Expect: 100-continue`, so they stay unread if the agent refuses. */
  readonly body?: Readable;
  /** The number of bytes of `body`; chunked if it is not known. */
  readonly length?: number;
  /** Is called with each piece of `body` that is sent. */
  readonly giveBack?: (piece: Buffer) => void;
}

export interface FileAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Fails if its end is missing. The connection lasts until it is read to its end or destroyed. */
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

/** Sends the request, and its body once the agent wants it. Resolves with the answer, which may come before the end. */
function answerTo(
  call: ClientRequest,
  ask: FileRequest,
  silence: NodeJS.Timeout,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    call.on('error', reject);
    const body = ask.body ? sendBody(call, ask.body, ask, silence) : null;
    call.on('response', (answer) => {
      // After an answer, the agent wants no more. The connection stays open for the rest of the answer.
      body?.stop();
      resolve(answer);
    });
    if (body) call.flushHeaders();
    else call.end();
  });
}

/**
 * Sends `body` as fast as the agent takes it, once it wants it. If the body fails, or has not the announced length, the call
 * is broken off. Less work for each piece than a pipe with a stream that counts, and large files have many pieces.
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
  // A body may fail before it is wanted, too. One that is closed before its end has failed.
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

/** The body of an answer. Each piece of it restarts the time of silence. */
function watched(answer: IncomingMessage, silence: NodeJS.Timeout): Readable {
  // The socket stops while the body is not read, so this says what moves. A stream that counts would cost more.
  answer.socket.on('data', () => silence.refresh());
  // An error before anybody reads stays in the stream, and reaches whoever reads then.
  answer.on('error', () => {});
  return answer;
}
