/** One HTTP request about files over a connection of its own, with bytes streamed in either direction. */
import {
  type ClientRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request,
} from 'node:http';
import type { Readable } from 'node:stream';
import type { AgentAddress } from '../../domain/agentAddress.ts';
import { FileRefusedError } from '../../domain/fileEntry.ts';
import { KernelHttpError } from '../channel/kernelErrors.ts';
import { parseJson } from '../frames/parseJson.ts';
import { refusalSchema } from './fileAnswers.ts';

/**
 * The longest time in which nothing moves on the connection. Longer than the agent's own limits, whose answers say
 * more: it gives up a silent transfer after 60 s and an operation after 120 s.
 */
const SILENCE_MS = 150_000;
/** A page of 1,000 entries has at most 4 MiB (the agent's limit), plus what its JSON adds. */
const MAX_ANSWER_BYTES = 8 * 1_048_576;
/** How much of an upload may wait for the agent. It keeps both sides busy; a piece has up to 64 KiB. */
const MAX_WAITING_BYTES = 262_144;
/** An entry travels in a header, with a path of up to 4 KiB of which each byte may be escaped. */
const MAX_HEADER_BYTES = 131_072;

export interface FileRequest {
  readonly method: 'GET' | 'PUT' | 'POST';
  /** With the query. */
  readonly path: string;
  /** The bytes to send. The request is made with `Expect: 100-continue`, so they stay unread if the agent refuses. */
  readonly body?: Readable;
  /** The number of bytes of `body`; chunked if it is not known. */
  readonly length?: number;
}

export interface FileAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Fails if its end is missing. The connection lasts until it is read to its end or destroyed. */
  readonly body: Readable;
}

/** Nothing moved for the time of silence: the worker, or whoever reads or writes on our side, has stopped. */
class SilenceError extends Error {
  constructor() {
    super(`Nothing moved between gateway and worker for ${SILENCE_MS} ms.`);
    this.name = 'SilenceError';
  }
}

/** The body has another length than was announced. The agent would wait for the rest, or never see it. */
class LengthError extends Error {
  constructor() {
    super('The body is longer or shorter than announced.');
    this.name = 'LengthError';
  }
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
    if (status >= 400) throw await refusalOf(answer, `${ask.method} ${pathOnly(ask.path)}`);
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
    const body = ask.body ? sendBody(call, ask.body, ask.length, silence) : null;
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
 * Sends `body` as fast as the agent takes it, once it wants it. If the body fails, or has not `expected` bytes, the call
 * is broken off. Less work for each piece than a pipe with a stream that counts, and large files have many pieces.
 */
function sendBody(
  call: ClientRequest,
  body: Readable,
  expected: number | undefined,
  silence: NodeJS.Timeout,
): { stop(): void } {
  let bytes = 0;
  let isOver = false;
  const fail = (error: Error) => {
    if (!isOver) call.destroy(error);
  };
  const send = (chunk: Buffer) => {
    if (isOver) return;
    silence.refresh();
    bytes += chunk.length;
    if (expected !== undefined && bytes > expected) fail(new LengthError());
    else if (!call.write(chunk) && call.writableLength > MAX_WAITING_BYTES) body.pause();
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

/** The error that a refusal becomes. */
async function refusalOf(answer: IncomingMessage, call: string): Promise<Error> {
  const json = parseJson(await textOf(answer));
  const { success, data } = refusalSchema.safeParse(json);
  if (success && data.error === 'not_found' && data.message === undefined) {
    return new FileRefusedError('unsupported', 'The agent is older than file operations.');
  }
  if (success) return new FileRefusedError(data.error, data.message ?? 'The worker refused.');
  return new KernelHttpError(answer.statusCode ?? 0, null, call);
}

/** The whole body of an answer. @throws if it is too long or cut */
export async function textOf(answer: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_ANSWER_BYTES) throw new Error('The answer of the worker is too long.');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Names of files do not belong into errors, which may be logged. */
function pathOnly(path: string): string {
  return path.split('?', 1)[0] ?? '';
}

function abortError(signal: AbortSignal | undefined): Error {
  return signal?.reason instanceof Error ? signal.reason : new Error('The transfer was aborted.');
}
