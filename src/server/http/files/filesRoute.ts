/** Handles `/files/<userUuid>/<path>`: files of any size, streamed (docs/use/files.md). */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import { DomainError } from '../../../domain/errors.ts';
import { isBadFileUrl, parseFileUrl } from '../../../domain/fileUrl.ts';
import { internalRefusal, refusalOf } from '../../../service/refusal.ts';
import { type AddressOf, type Authenticate, isRefusal, tokenIn } from '../authenticate.ts';
import type { Cors } from '../cors.ts';
import type { Route } from '../httpRoutes.ts';
import { guardReader, type InFlight, limitArrival, watchReader } from '../openAnswers.ts';
import { receiveArchive, sendArchive } from './archives.ts';
import {
  badRequest,
  createFreePiece,
  type FileCounts,
  type FileRequest,
  type FilesService,
  refuseFile,
} from './fileAnswers.ts';
import { receiveFile, removeFile } from './receiveFile.ts';
import { describeFile, sendFile } from './sendFile.ts';

export interface FilesRouteDeps {
  readonly service: FilesService;
  readonly authenticate: Authenticate;
  readonly addressOf: AddressOf;
  readonly inFlight: InFlight;
  readonly cors: Cors;
  readonly counts: FileCounts;
  /** A caller is disconnected if it reads nothing of its answer for this long. */
  readonly slowReaderTimeoutMs: number;
  readonly newErrorId: () => string;
  readonly logger: Logger;
}

const METHODS = ['GET', 'HEAD', 'PUT', 'DELETE'] as const;
const ALLOWED = `${METHODS.join(', ')}, OPTIONS`;

/**
 * Checks in this order: cross-origin requests, the method (405), the token (401), the URL (400). Every answer with a
 * body has the headers that keep it from becoming a page of this origin.
 */
export function createFilesRoute(deps: FilesRouteDeps): Route {
  const free = createFreePiece();
  return async (req, res) => {
    if (deps.cors(req, res)) return;
    guardReader(res);
    if (req.method !== 'PUT') limitArrival(req);
    if (!METHODS.some((method) => method === req.method)) {
      refuseFile(req, res, METHOD_NOT_ALLOWED);
      return;
    }
    const origin = { door: 'files', address: deps.addressOf(req) } as const;
    const principal = await deps.authenticate(tokenIn(req.headers), origin);
    if (isRefusal(principal)) return refuseFile(req, res, principal);
    const url = parseFileUrl(req.url ?? '');
    if (isBadFileUrl(url)) {
      refuseFile(req, res, refusalOf(badRequest(url.field, url.problem)));
      return;
    }
    const { service, counts } = deps;
    await answer(deps, { service, principal, url, req, res, counts, free });
  };
}

async function answer(deps: FilesRouteDeps, request: FileRequest): Promise<void> {
  const { req, res } = request;
  // The client left during authentication: `close` has been emitted, and the rest of the body never comes.
  if (res.destroyed) return;
  const end = deps.inFlight.begin();
  deps.counts.requests += 1;
  const off = request.principal.tokenEnd.on(() => res.destroy());
  res.once('close', () => {
    deps.counts.requests -= 1;
    end();
    off();
  });
  watchReader(res, deps.slowReaderTimeoutMs);
  try {
    await handle(request);
  } catch (error: unknown) {
    fail(deps, req, res, error);
  }
}

function handle(request: FileRequest): Promise<void> {
  const isArchive = request.url.archive !== null;
  switch (request.req.method) {
    case 'GET':
      return isArchive ? sendArchive(request) : sendFile(request);
    case 'HEAD':
      return isArchive ? sendArchive(request) : describeFile(request);
    case 'PUT':
      return isArchive ? receiveArchive(request) : receiveFile(request);
    default:
      return removeFile(request);
  }
}

/** Names of files may tell secrets, so they are not logged. */
function fail(
  { newErrorId, logger }: FilesRouteDeps,
  req: IncomingMessage,
  res: ServerResponse,
  error: unknown,
): void {
  if (res.destroyed || (req.destroyed && !req.complete)) {
    logger.debug({ err: error }, 'A client went away.');
    return;
  }
  if (res.headersSent) {
    // The client notices, because bytes are missing.
    logger.warn({ err: error }, 'A file could not be sent to its end.');
    res.destroy();
    return;
  }
  if (error instanceof DomainError) {
    if (error.code === 'FILES_UNAVAILABLE') logger.warn({ err: error.cause }, UNAVAILABLE);
    refuseFile(req, res, refusalOf(error));
    return;
  }
  const errorId = newErrorId();
  logger.error({ err: error, errorId, method: req.method }, 'Answering a file request failed.');
  refuseFile(req, res, internalRefusal(errorId));
}

const UNAVAILABLE = 'The files of a worker could not be reached.';

const METHOD_NOT_ALLOWED = {
  status: 405,
  code: 'BAD_USER_INPUT',
  message: `Use one of ${ALLOWED}.`,
  headers: { Allow: ALLOWED },
};
