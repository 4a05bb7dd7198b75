/** Answers of `/files/`: their statuses, headers and JSON bodies. */

import type { IncomingMessage, ServerResponse } from 'node:http';
import { MessageChannel } from 'node:worker_threads';
import { create } from 'content-disposition';
import mime from 'mime';
import { DomainError } from '../../../domain/errors.ts';
import type { FileUrl } from '../../../domain/fileUrl.ts';
import { answerJson } from '../../../doors/shared/jsonAnswer.ts';
import type { Principal } from '../../../service/principal.ts';
import type { Refusal } from '../../../service/refusal.ts';
import type { Service } from '../../../service/service.ts';
import { sendRefusal } from '../refuse.ts';

/** Frees the memory of a piece that nobody uses any more. Afterwards, the length of the piece may be 0. */
export type FreePiece = (piece: Buffer) => void;

/**
 * Node allocates memory for each piece that it receives over HTTP, and V8 lets some 40 MiB of such pieces accumulate
 * before it collects them. Handing a piece over to a port that is closed frees its memory at once, and costs less than
 * the collection.
 */
export function createFreePiece(): FreePiece {
  const { port1 } = new MessageChannel();
  port1.close();
  return ({ buffer, length }) => {
    // If other pieces may be in the same memory, V8 frees it. A piece of length 0 is freed already, and cannot be
    // handed over again.
    if (buffer instanceof ArrayBuffer && buffer.byteLength === length && length > 0)
      port1.postMessage(null, [buffer]);
  };
}

/**
 * On every answer below `/files/`, also on errors. A file may be anything that user code wrote, even HTML with scripts.
 * It must never become a page of the gateway's origin, where it could use what a signed-in browser may do.
 */
export const FILE_ANSWER_HEADERS = {
  'Content-Disposition': 'attachment',
  // Nothing in the answer runs, sends forms or has an origin.
  'Content-Security-Policy': 'sandbox',
  'X-Content-Type-Options': 'nosniff',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  // No shared cache may keep the answer. A browser must revalidate its copy before each use, because another user may
  // use the same browser later.
  'Cache-Control': 'private, no-cache',
} as const;

const BINARY = 'application/octet-stream';

/** Images of pixels. SVG is not among them: it is a document that may contain scripts. */
const RASTER_TYPES: ReadonlySet<string> = new Set([
  'image/png',
  'image/jpeg',
  'image/gif',
  'image/webp',
  'image/avif',
  'image/bmp',
]);

/** Types that people read as they are. */
const READABLE_TYPES: ReadonlySet<string> = new Set([
  'text/plain',
  'text/csv',
  'text/markdown',
  'text/tab-separated-values',
  'application/json',
]);

/** The media type of a file, by its name alone: the content is hostile. */
export function mediaTypeOf(name: string): string {
  return mime.getType(name) ?? BINARY;
}

/** `Content-Type` and `Content-Disposition` of a file. @param wantsInline whether the caller asked for `?inline` */
export function typeHeaders(name: string, wantsInline: boolean): Record<string, string> {
  const type = mediaTypeOf(name);
  const isText = READABLE_TYPES.has(type);
  const isInline = wantsInline && (isText || RASTER_TYPES.has(type));
  return {
    'Content-Type': isInline && isText ? 'text/plain; charset=utf-8' : type,
    'Content-Disposition': disposition(name, isInline ? 'inline' : 'attachment'),
  };
}

/** The type and name of an archive of the folder `name`. */
export function archiveHeaders(name: string, format: 'tar' | 'zip'): Record<string, string> {
  const base = name === '.' ? 'home' : name === '/' ? 'root' : name;
  return {
    'Content-Type': format === 'tar' ? 'application/x-tar' : 'application/zip',
    'Content-Disposition': disposition(`${base}.${format}`, 'attachment'),
  };
}

/** With the name in UTF-8 (RFC 8187), and in ASCII for old clients. In both, `_` replaces each control character. */
function disposition(name: string, type: 'inline' | 'attachment'): string {
  return create(name.replace(/\p{Cc}/gu, '_'), { type });
}

/** How many bytes of files this server has moved over HTTP, and how many requests for files it is answering. */
export interface FileCounts {
  /** From clients. */
  uploadedBytes: number;
  /** To clients, with the headers of the answers. */
  downloadedBytes: number;
  /** Requests below `/files/` that are being answered. */
  requests: number;
}

export function createFileCounts(): FileCounts {
  return { uploadedBytes: 0, downloadedBytes: 0, requests: 0 };
}

// One request below `/files/`, and what handling it needs.

export type FilesService = Pick<
  Service,
  'file' | 'readContent' | 'writeContent' | 'deleteFile' | 'readArchive' | 'writeArchive'
>;

export interface FileRequest {
  readonly service: FilesService;
  readonly principal: Principal;
  readonly url: FileUrl;
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly counts: FileCounts;
  /** Frees the memory of a piece of the request's body. */
  readonly free: FreePiece;
}

/** Refuses a request with the body `{ "code": ..., "message": ... }`. */
export function refuseFile(req: IncomingMessage, res: ServerResponse, refusal: Refusal): void {
  const { status, code, message, details, headers } = refusal;
  sendRefusal(req, res, {
    status,
    headers: { ...JSON_HEADERS, ...headers },
    body: { ...details, code, message },
  });
}

/** Answers a request for files with a JSON body. */
export function answerFileJson(
  res: ServerResponse,
  status: number,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  answerJson(res, status, value, { ...JSON_HEADERS, ...headers });
}

const JSON_HEADERS = { ...FILE_ANSWER_HEADERS, 'Content-Type': 'application/json; charset=utf-8' };

/** A bad header or option of a request. @param field the name of the header or option */
export function badRequest(field: string, message: string): DomainError {
  return new DomainError('BAD_USER_INPUT', message, { field });
}
