/** GET and HEAD of a file. */
import type { ServerResponse } from 'node:http';
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { DomainError } from '../../../domain/errors.ts';
import type { FileContent, FileEntry } from '../../../domain/workerFiles.ts';
import type { TokenEnd } from '../../../service/access/tokenEnd.ts';
import { type Refusal, refusalOf } from '../../../service/refusal.ts';
import {
  badRequest,
  FILE_ANSWER_HEADERS,
  type FileRequest,
  refuseFile,
  typeHeaders,
} from './fileAnswers.ts';
import {
  type ByteRange,
  conditionsOf,
  type FileConditions,
  isMatch,
  isNoneMatch,
  mayAnswerRange,
  rangeOf,
  versionsIn,
} from './requestHeaders.ts';

/** How many times the gateway tries to open a range. A try fails if the file changes after its size was read. */
const MAX_ATTEMPTS = 3;

/**
 * Streams the file, or the part that `Range` asks for, as fast as the client reads.
 * @param refused sends the refusal of a range that contains no byte of the file
 */
export async function sendFile(
  request: FileRequest,
  refused: (refusal: Refusal) => void = (refusal) => refuseFile(request.req, request.res, refusal),
): Promise<void> {
  const { res, counts, principal } = request;
  const conditions = checkedConditions(request);
  const gone = new AbortController();
  const stop = () => gone.abort();
  res.once('close', stop);
  try {
    const { content, range } = await openPart(request, conditions, gone.signal);
    if (range === 'none') {
      refused(unsatisfiable(content.size));
      return;
    }
    const headers = headersOf(request, content.entry);
    if (content.isKnown) {
      content.body.destroy();
      res.writeHead(304, headers).end();
      return;
    }
    res.writeHead(range === 'whole' ? 200 : 206, {
      ...headers,
      'Content-Length': content.length,
      ...(range !== 'whole' && {
        'Content-Range': `bytes ${range.first}-${range.last}/${content.entry.size}`,
      }),
    });
    const before = res.socket?.bytesWritten ?? 0;
    const { socket } = res;
    try {
      await pipeline(content.body, giving(content, res, principal.tokenEnd));
    } finally {
      counts.downloadedBytes += (socket?.bytesWritten ?? before) - before;
    }
  } finally {
    res.off('close', stop);
  }
}

/** Passes each piece to the client, and then gives its memory back for later pieces. One piece is sent at a time. */
function giving(content: FileContent, res: ServerResponse, tokenEnd: TokenEnd): Writable {
  const give = (piece: Buffer, done: (error?: Error | null) => void) =>
    res.write(piece, (error) => {
      // The handler of the error finds the answer destroyed, and so knows that the client is gone.
      if (error) res.destroy();
      else content.giveBack(piece);
      done(error);
    });
  const sink = new Writable({
    // The next piece is read while the current one is sent.
    highWaterMark: 1,
    write: (piece: Buffer, _encoding, done) => {
      const known = tokenEnd.fresh();
      if (known === null) give(piece, done);
      else void known.then(() => give(piece, done));
    },
    final: (done) => void res.end(done),
  });
  // If the client goes away, the callback of a write may never be called.
  res.once('close', () => sink.destroy());
  return sink;
}

type Opened =
  | { readonly range: ByteRange | 'whole'; readonly content: FileContent }
  | { readonly range: 'none'; readonly content: { readonly size: number } };

/** Opens the requested part. A range is read only from the version of the file whose size it was computed from. */
async function openPart(
  { service, principal, url, req }: FileRequest,
  conditions: FileConditions,
  signal: AbortSignal,
): Promise<Opened> {
  const { userUuid, path } = url;
  const whole = { userUuid, path, ...conditions };
  for (let attempt = 1; req.headers.range !== undefined && attempt <= MAX_ATTEMPTS; attempt += 1) {
    const found = await service.file(principal, userUuid, path, { follow: true });
    if (found === null || found.entry.kind !== 'file') break;
    const { size, etag } = found.entry;
    const range = mayAnswerRange(req.headers['if-range']?.toString(), etag)
      ? rangeOf(req.headers.range, size)
      : 'whole';
    if (range === 'whole' || !mayBeAnswered(req.headers, etag)) break;
    if (range === 'none') return { range, content: { size } };
    const part = { offset: range.first, length: range.last - range.first + 1 };
    try {
      const version = { userUuid, path, ...part, ifMatch: etag };
      return { range, content: await service.readContent(principal, version, signal) };
    } catch (error: unknown) {
      if (!(error instanceof DomainError && error.code === 'PRECONDITION_FAILED')) throw error;
    }
  }
  return { range: 'whole', content: await service.readContent(principal, whole, signal) };
}

/** False: the answer is 304 or 412, whatever the range is. */
function mayBeAnswered(headers: FileRequest['req']['headers'], etag: string): boolean {
  const match = versionsIn(headers['if-match']) ?? 'any';
  const noneMatch = versionsIn(headers['if-none-match']) ?? [];
  return isMatch(match, etag) && isNoneMatch(noneMatch, etag);
}

/** Answers HEAD like GET, without opening the file. A range is ignored, as RFC 9110 says. */
export async function describeFile(request: FileRequest): Promise<void> {
  const { service, principal, url, req, res } = request;
  checkedConditions(request);
  const found = await service.file(principal, url.userUuid, url.path, { follow: true });
  if (found === null) throw new DomainError('FILE_NOT_FOUND', 'There is no such file.');
  const { entry } = found;
  if (entry.kind === 'directory') {
    throw new DomainError('IS_A_DIRECTORY', 'This is a folder. Get it with `?archive=tar`.');
  }
  if (entry.kind !== 'file') throw new DomainError('NOT_A_FILE', 'This is no regular file.');
  if (!isMatch(versionsIn(req.headers['if-match']) ?? 'any', entry.etag)) {
    throw new DomainError('PRECONDITION_FAILED', 'The file is in another version.');
  }
  const isKnown = !isNoneMatch(versionsIn(req.headers['if-none-match']) ?? [], entry.etag);
  const headers = headersOf(request, entry);
  if (isKnown) res.writeHead(304, headers).end();
  else res.writeHead(200, { ...headers, 'Content-Length': entry.size }).end();
}

/** @throws BAD_USER_INPUT */
export function checkedConditions({ req }: Pick<FileRequest, 'req'>): FileConditions {
  const conditions = conditionsOf(req.headers);
  if (!('badHeader' in conditions)) return conditions;
  const { badHeader } = conditions;
  throw badRequest(badHeader, `${badHeader} must be \`*\`, or entity tags in double quotes.`);
}

function headersOf({ url }: FileRequest, { name, etag }: FileEntry): Record<string, string> {
  return {
    ...FILE_ANSWER_HEADERS,
    ...typeHeaders(name, url.isInline),
    ETag: etag,
    'Accept-Ranges': 'bytes',
  };
}

function unsatisfiable(size: number): Refusal {
  const message = `The file has ${size} bytes, and none of them is in the range.`;
  const error = badRequest('Range', message);
  const headers = { 'Content-Range': `bytes */${size}` };
  return { ...refusalOf(error), status: 416, headers };
}
