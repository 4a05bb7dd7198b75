/** PUT and DELETE of a file. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { DomainError } from '../../../domain/errors.ts';
import { fileUrlOf } from '../../../domain/fileUrl.ts';
import { type TokenEnd, tokenEnded } from '../../../service/access/tokenEnd.ts';
import { hasBody } from '../refuse.ts';
import {
  answerFileJson,
  badRequest,
  FILE_ANSWER_HEADERS,
  type FileRequest,
} from './fileAnswers.ts';
import { isMatch, isNoneMatch, versionsIn } from './requestHeaders.ts';
import { checkedConditions } from './sendFile.ts';

/**
 * The same limit as for a silent connection between gateway and worker (`src/kernel/files/transfer.ts`). It is needed
 * here, too, because some bytes of a form go to no worker.
 */
const SILENCE_MS = 150_000;

/**
 * A request's body as a stream. The gateway does not ask for the body before the stream is first read: a client that
 * sent `Expect: 100-continue` sends nothing until then. The stream fails if the client goes away before the end.
 * Destroying the stream does not destroy the request, which can still be answered. While the gateway does not know
 * whether the token is still valid, the stream passes nothing on.
 * @param silenceMs the stream fails with FILE_TIMEOUT if its reader waits this long and the client sends nothing
 */
export function uploadOf(
  req: IncomingMessage,
  res: ServerResponse,
  tokenEnd: TokenEnd,
  onBytes: (count: number) => void,
  silenceMs = SILENCE_MS,
): Readable {
  let isBegun = false;
  let silence: NodeJS.Timeout | null = null;
  /** Resolves when all pieces that wait for the token have been passed on, in order. Null: no piece waits. */
  let waiting: Promise<void> | null = null;
  const body = new Readable({
    read: () => {
      listen();
      if (!isBegun) begin();
      else req.resume();
    },
    destroy: (error, done) => {
      hush();
      req.off('data', take).off('end', end).off('error', fail).off('close', gone).pause();
      done(error);
    },
  });

  function begin(): void {
    isBegun = true;
    if (/^100-continue$/i.test(req.headers.expect ?? '')) res.writeContinue();
    if (req.destroyed) gone();
    else req.on('data', take).on('end', end).on('error', fail).on('close', gone);
  }
  /** Starts the time limit anew: from now on, the reader waits for the client. */
  function listen(): void {
    if (silence) silence.refresh();
    else silence = setTimeout(() => body.destroy(silent(silenceMs)), silenceMs);
  }
  function hush(): void {
    if (silence) clearTimeout(silence);
    silence = null;
  }
  function take(chunk: Buffer): void {
    hush();
    onBytes(chunk.length);
    const known = tokenEnd.fresh();
    if (known !== null) later(known, chunk);
    else pass(chunk);
  }
  // The end of the body may come while the last piece still waits.
  const end = () => {
    hush();
    pass(null);
  };
  function pass(piece: Buffer | null): void {
    if (waiting !== null) later(waiting, piece);
    else if (!body.push(piece)) req.pause();
    else if (piece !== null) listen();
  }
  function later(known: Promise<void>, piece: Buffer | null): void {
    req.pause();
    const turn: Promise<void> = Promise.all([waiting, known]).then(() => {
      if (waiting === turn) waiting = null;
      if (body.destroyed) return;
      if (tokenEnd.isOver) body.destroy(tokenEnded());
      else if (body.push(piece)) req.resume();
    });
    waiting = turn;
  }
  const fail = (error: Error) => void body.destroy(error);
  /** Fails even if the whole body has arrived, because the part that was not read yet is lost. */
  function gone(): void {
    if (!req.readableEnded) body.destroy(new Error('The client went away while sending.'));
  }
  return body;
}

function silent(ms: number): DomainError {
  return new DomainError('FILE_TIMEOUT', `The client has sent nothing for ${ms} ms.`);
}

/**
 * Writes the file. Answers 201 if nothing was there before, else 200, with size and SHA-256 of the bytes that arrived.
 */
export async function receiveFile(request: FileRequest): Promise<void> {
  const { service, principal, url, req, res, counts, free } = request;
  requirePlainBody(request);
  const conditions = checkedConditions(request);
  await requireVersion(request);
  const length = lengthOf(request);
  const upload = uploadOf(req, res, principal.tokenEnd, (count) => {
    counts.uploadedBytes += count;
  });
  const { file, created, sha256 } = await service.writeContent(
    principal,
    {
      userUuid: url.userUuid,
      path: url.path,
      ...conditions,
      giveBack: free,
      ...(length !== null && { length }),
    },
    upload,
  );
  const { path, pathBytes, size, etag } = file.entry;
  const headers = {
    ETag: etag,
    ...(created && { Location: fileUrlOf(url.userUuid, pathBytes) }),
  };
  answerFileJson(res, created ? 201 : 200, { path, size, etag, sha256 }, headers);
}

/** Deletes the file, or the folder with all that is in it. Answers 204. */
export async function removeFile(request: FileRequest): Promise<void> {
  const { service, principal, url, req, res } = request;
  if (url.isInline || url.archive) throw notHere('DELETE');
  if (hasBody(req)) throw badRequest('body', 'DELETE takes no body.');
  const versions = checkedConditions(request);
  if (!(await service.deleteFile(principal, url.userUuid, url.path, versions))) {
    throw new DomainError(
      'FILE_NOT_FOUND',
      'There is no such file, or the user has no open session.',
    );
  }
  res.writeHead(204, FILE_ANSWER_HEADERS).end();
}

/** @throws BAD_USER_INPUT */
export function requirePlainBody({ url, req }: FileRequest): void {
  if (url.isInline) throw notHere('PUT');
  const encoding = req.headers['content-encoding'] ?? 'identity';
  if (encoding.toLowerCase() !== 'identity') {
    throw badRequest('Content-Encoding', 'Content-Encoding must not be used: send plain bytes.');
  }
  if (req.headers['content-range'] !== undefined) {
    throw badRequest('Content-Range', 'Content-Range must not be used: send the whole file.');
  }
}

function notHere(method: string): DomainError {
  return badRequest('query', `${method} does not take this option of the URL.`);
}

/** The number of bytes of the body; null if it comes in chunks. */
export function lengthOf({ req }: Pick<FileRequest, 'req'>): number | null {
  const { 'content-length': length, 'transfer-encoding': encoding } = req.headers;
  if (encoding !== undefined) return null;
  return Number(length ?? 0);
}

/**
 * Refuses the request before the body is sent, if the conditions do not hold now. The worker checks them again in the
 * step that writes the file.
 * @throws PRECONDITION_FAILED
 */
async function requireVersion({ service, principal, url, req }: FileRequest): Promise<void> {
  const match = versionsIn(req.headers['if-match']) ?? null;
  const noneMatch = versionsIn(req.headers['if-none-match']) ?? null;
  if (match === null && noneMatch === null) return;
  const found = await service.file(principal, url.userUuid, url.path, { follow: true });
  const etag = found?.entry.etag ?? null;
  if ((match && !isMatch(match, etag)) || (noneMatch && !isNoneMatch(noneMatch, etag))) {
    throw new DomainError(
      'PRECONDITION_FAILED',
      'The file is not in a version that If-Match and If-None-Match allow.',
    );
  }
}
