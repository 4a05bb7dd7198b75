/**
 * The headers of answers with files. A file may be anything that user code wrote, also HTML with a script. It must never
 * become a page of the gateway's origin, where it could use what a signed-in browser may do.
 */
import { create } from 'content-disposition';
import mime from 'mime';

/** On every answer below `/files/`, also on errors. */
export const FILE_ANSWER_HEADERS = {
  'Content-Disposition': 'attachment',
  // Nothing in the answer runs, sends forms or has an origin.
  'Content-Security-Policy': 'sandbox',
  'X-Content-Type-Options': 'nosniff',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  // Another user may be next at the same browser; and whoever keeps a copy must ask whether it is still right.
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

/** With the name in UTF-8 (RFC 8187), and in ASCII for old clients. Control characters are left out of both. */
function disposition(name: string, type: 'inline' | 'attachment'): string {
  return create(name.replace(/\p{Cc}/gu, '_'), { type });
}
