/** Answers HTTP requests to doors: checks each request before the door sees it, and answers for a door that fails. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import { DomainError } from '../../domain/errors.ts';
import type { ServedDoor } from '../../domain/token.ts';
import type { DoorCall, DoorRequest, OpenDoor } from '../../doors/openDoor.ts';
import { internalRefusal, type Refusal, refusalOf } from '../../service/refusal.ts';
import { type Cors, createCors } from '../http/cors.ts';
import {
  createFreePiece,
  type FileCounts,
  type FilesService,
  type FreePiece,
} from '../http/files/fileAnswers.ts';
import { uploadOf } from '../http/files/receiveFile.ts';
import { sendFile } from '../http/files/sendFile.ts';
import {
  type GuardedReader,
  guardReader,
  type InFlight,
  limitArrival,
  watchReader,
} from '../http/openAnswers.ts';
import { BodyTooLargeError, readBody, readBytes, refuse, sendRefusal } from '../http/refuse.ts';
import { type EnterDoorDeps, enterDoor, type FindDoor, type HostCheck } from './enterDoor.ts';

/** Answers the request if it is for a door. Resolves with whether the request was for a door. */
export type DoorRoute = (req: IncomingMessage, res: ServerResponse) => Promise<boolean>;

export interface DoorRouteDeps extends EnterDoorDeps {
  readonly doors: readonly OpenDoor[];
  readonly findDoor: FindDoor;
  readonly hostCheck: HostCheck;
  readonly corsOrigins: readonly string[];
  readonly inFlight: InFlight;
  readonly counts: DoorCounts;
  readonly files: DoorFiles;
  readonly maxBodyBytes: number;
  /** A caller is disconnected if it reads nothing of its answer for this long. */
  readonly slowReaderTimeoutMs: number;
  readonly newErrorId: () => string;
  readonly logger: Logger;
}

/**
 * Checks in this order: `Host` and `Origin` (403), whether the request needs a token, the token (401). Then the door
 * answers.
 */
export function createDoorRoute(deps: DoorRouteDeps): DoorRoute {
  const cors = new Map<ServedDoor, Cors>(
    deps.doors.map((door) => [door.name, createCors(deps.corsOrigins, door.cors)]),
  );
  return async (req, res) => {
    const found = deps.findDoor(req);
    if (found === 'elsewhere') return false;
    if (found === null) {
      refuse(req, res, NOTHING_HERE);
      return true;
    }
    const { door } = found;
    const entry = door.enter(found.request);
    if (entry.type === 'open' || !entry.isUpload) limitArrival(req);
    const reader = guardReader(res);
    res.once('close', () => {
      // Not counted if the client left before there was an answer.
      if (res.headersSent) deps.counts.count(door.name, res.statusCode);
    });
    const refused = (refusal: Refusal) => sendRefusal(req, res, door.refuse(refusal));
    const foreign = deps.hostCheck(req);
    if (foreign !== null) refused(foreign);
    else if (cors.get(door.name)?.(req, res)) return true;
    else if (entry.type === 'open') entry.answer(res);
    else {
      const request = await enterDoor(deps, found, entry.shown);
      if ('status' in request) refused(request);
      else await answer(deps, request, { door, handle: entry.handle, res, reader, refused });
    }
    return true;
  };
}

interface Answering {
  readonly door: OpenDoor;
  readonly handle: (call: DoorCall) => Promise<void>;
  readonly res: ServerResponse;
  readonly reader: GuardedReader;
  readonly refused: (refusal: Refusal) => void;
}

async function answer(
  deps: DoorRouteDeps,
  request: DoorRequest,
  { door, handle, res, reader, refused }: Answering,
): Promise<void> {
  const { req, principal, stopping } = request;
  // The client left during authentication: `close` has been emitted, and the rest of the body never comes.
  if (res.destroyed) return;
  const end = deps.inFlight.begin();
  const gone = new AbortController();
  const off = principal.tokenEnd.on(() => res.destroy());
  res.once('close', () => {
    end();
    off();
    const isOurs = stopping.isOver || principal.tokenEnd.isOver || reader.isCut;
    if (!res.writableFinished && !isOurs) gone.abort();
  });
  watchReader(res, deps.slowReaderTimeoutMs);
  const call: DoorCall = {
    ...request,
    ...deps.files(request, res, refused),
    res,
    gone: gone.signal,
    readBody: () => readBody(req, res, deps.maxBodyBytes),
    readBytes: () => readBytes(req, res, deps.maxBodyBytes),
    onStream: end,
    refuse: refused,
  };
  try {
    await handle(call);
  } catch (error: unknown) {
    fail(deps, door, call, error);
  }
}

/** Paths are not logged, because they may contain secrets. */
function fail(deps: DoorRouteDeps, door: OpenDoor, call: DoorCall, error: unknown): void {
  const { req, res } = call;
  const { logger } = deps;
  if (res.destroyed || (req.destroyed && !req.complete)) {
    logger.debug({ err: error, door: door.name }, 'A client went away.');
  } else if (res.headersSent) {
    // The end of the answer is missing, so the client notices the failure.
    logger.error({ err: error, door: door.name }, 'An answer of a door could not be completed.');
    res.destroy();
  } else {
    call.refuse(refusalFor(error, deps, door));
  }
}

function refusalFor(
  error: unknown,
  { logger, newErrorId }: DoorRouteDeps,
  { name }: OpenDoor,
): Refusal {
  if (error instanceof DomainError) return refusalOf(error);
  if (error instanceof BodyTooLargeError) return error.refusal;
  const errorId = newErrorId();
  logger.error({ err: error, errorId, door: name }, 'Answering a request to a door failed.');
  return internalRefusal(errorId);
}

const NOTHING_HERE: Refusal = {
  status: 404,
  code: 'NOT_FOUND',
  message: 'No door is at this path. DOORS lists the open doors.',
};

// Uploads and downloads through a door. They work like those of `/files/`, and are counted with them.

export interface DoorFilesDeps {
  readonly service: FilesService;
  readonly fileCounts: FileCounts;
}

/** The part of a call that is about files. */
type DoorFiles = (
  request: DoorRequest,
  res: ServerResponse,
  refused: (refusal: Refusal) => void,
) => Pick<DoorCall, 'readStream' | 'free' | 'sendFile'>;

export function createDoorFiles({ service, fileCounts: counts }: DoorFilesDeps): DoorFiles {
  const free: FreePiece = createFreePiece();
  return ({ req, principal }, res, refused) => ({
    free,
    readStream: () =>
      uploadOf(req, res, principal.tokenEnd, (count) => {
        counts.uploadedBytes += count;
      }),
    sendFile: ({ userUuid, path }) => {
      const url = { userUuid, path: Buffer.from(path), archive: null, isInline: false };
      return sendFile({ service, principal, url, req, res, counts, free }, refused);
    },
  });
}

/** Counts the answers of the doors since the start, by door and status. */
export interface DoorCounts {
  /** Counts an answer that has ended. */
  count(door: ServedDoor, status: number): void;
  readonly answers: Iterable<{
    readonly door: string;
    readonly status: number;
    readonly count: number;
  }>;
}

/** A door answers with few different statuses, so the map stays small, whatever clients send. */
export function createDoorCounts(): DoorCounts {
  const counts = new Map<string, { door: ServedDoor; status: number; count: number }>();
  return {
    count: (door, status) => {
      const key = `${door} ${status}`;
      const known = counts.get(key) ?? { door, status, count: 0 };
      known.count += 1;
      counts.set(key, known);
    },
    get answers() {
      return counts.values();
    },
  };
}
