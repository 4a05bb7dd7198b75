/** A folder as an archive: GET and HEAD as tar or zip, PUT as tar. */
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { DomainError } from '../../../domain/errors.ts';
import { filePath, nameOf } from '../../../domain/filePath.ts';
import type { TokenEnd } from '../../../service/access/tokenEnd.ts';
import {
  answerFileJson,
  archiveHeaders,
  badRequest,
  FILE_ANSWER_HEADERS,
  type FileRequest,
} from './fileAnswers.ts';
import { lengthOf, requirePlainBody, uploadOf } from './receiveFile.ts';

/** Streams the folder while it is read. Nobody knows the length before the end, so the answer comes in chunks. */
export async function sendArchive(request: FileRequest): Promise<void> {
  const { service, principal, url, req, res, counts } = request;
  const { userUuid, path } = url;
  const format = url.archive ?? 'tar';
  if (url.isInline) throw badRequest('inline', 'An archive cannot be `inline`.');
  const name = nameOf(filePath(path.length === 0 ? Buffer.from('.') : withoutSlash(path))).text;
  const headers = { ...FILE_ANSWER_HEADERS, ...archiveHeaders(name, format) };
  if (req.method === 'HEAD') {
    await requireFolder(request);
    res.writeHead(200, headers).end();
    return;
  }
  const gone = new AbortController();
  const stop = () => gone.abort();
  res.once('close', stop);
  try {
    const archive = await service.readArchive(principal, { userUuid, path, format }, gone.signal);
    res.writeHead(200, headers);
    const { socket } = res;
    const before = socket?.bytesWritten ?? 0;
    try {
      await pipeline(archive, whileKnown(principal.tokenEnd), res);
    } finally {
      counts.downloadedBytes += (socket?.bytesWritten ?? before) - before;
    }
  } finally {
    res.off('close', stop);
  }
}

/** Unpacks the body into the folder. Answers with the number of files, and the SHA-256 of the archive. */
export async function receiveArchive(request: FileRequest): Promise<void> {
  const { service, principal, url, req, res, counts } = request;
  if (url.archive !== 'tar') throw badRequest('archive', 'Only `tar` can be uploaded.');
  requirePlainBody(request);
  for (const name of ['if-match', 'if-none-match']) {
    if (req.headers[name] !== undefined) throw badRequest(name, 'A folder has no version.');
  }
  const { userUuid, path } = url;
  const length = lengthOf(request);
  const upload = uploadOf(req, res, principal.tokenEnd, (count) => {
    counts.uploadedBytes += count;
  });
  const wanted = { userUuid, path, giveBack: request.free, ...(length !== null && { length }) };
  answerFileJson(res, 200, await service.writeArchive(principal, wanted, upload));
}

/** Passes pieces on while it is known that the token is valid. */
function whileKnown(tokenEnd: TokenEnd): Transform {
  return new Transform({
    transform: (piece: Buffer, _encoding, done) => {
      const known = tokenEnd.fresh();
      if (known === null) done(null, piece);
      else void known.then(() => done(null, piece));
    },
  });
}

async function requireFolder({ service, principal, url }: FileRequest): Promise<void> {
  const found = await service.file(principal, url.userUuid, url.path, { follow: true });
  if (found === null) throw new DomainError('FILE_NOT_FOUND', 'There is no such folder.');
  if (found.entry.kind !== 'directory') {
    throw new DomainError('NOT_A_DIRECTORY', 'This is no folder.');
  }
}

function withoutSlash(path: Buffer): Buffer {
  const isFolder = path.length > 1 && path.at(-1) === 0x2f;
  return isFolder ? path.subarray(0, -1) : path;
}
