/** PUT and DELETE of a file. */
import { DomainError } from '../../../domain/errors.ts';
import { fileUrlOf } from '../../../domain/fileUrl.ts';
import { hasBody } from '../refuse.ts';
import { answerJson, badRequest } from './fileAnswers.ts';
import { isMatch, isNoneMatch, versionsIn } from './fileConditions.ts';
import { FILE_ANSWER_HEADERS } from './fileHeaders.ts';
import type { FileRequest } from './fileRequests.ts';
import { checkedConditions } from './sendFile.ts';
import { uploadOf } from './upload.ts';

/** Writes the file. Answers 201 if nothing was there before, else 200, with size and SHA-256 of what arrived. */
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
  answerJson(res, created ? 201 : 200, { path, size, etag, sha256 }, headers);
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
 * Refuses before the body is sent, if the conditions do not hold now. A worker checks them again in the same step in
 * which a file is written.
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
