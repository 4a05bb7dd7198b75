/** The tools for small files of a session. */

import { buffer } from 'node:stream/consumers';
import type { CallToolResult } from '@modelcontextprotocol/server';
import { z } from 'zod';
import type { FileContent, FileKind } from '../../../domain/workerFiles.ts';
import { MAX_RESULT_CHARS } from '../result.ts';
import { openedSessionOf, sessionOf } from '../session.ts';
import { answered, SESSION_ID, type Tool, tool } from './tool.ts';

const MAX_ENTRIES = 200;
const MAX_DEPTH = 5;
const KINDS = ['file', 'directory', 'link', 'other'] as const satisfies readonly FileKind[];

const PATH = z.string().min(1).describe('Relative to /home/user, or absolute.');
/** The annotations of tools that only read. */
const READ_ONLY = { readOnlyHint: true, openWorldHint: false } as const;

export const listFiles: Tool = tool({
  name: 'list_files',
  title: 'List files',
  description: `Lists files and folders of the session, by default those in /home/user. At most ${MAX_ENTRIES}.`,
  input: z.strictObject({
    session_id: SESSION_ID.optional(),
    path: PATH.optional(),
    depth: z.number().int().min(1).max(MAX_DEPTH).optional().describe('Levels. Default 1.'),
  }),
  output: z.object({
    files: z.array(
      z.object({
        path: z.string(),
        kind: z.enum(KINDS),
        size: z.number().describe('In bytes.'),
        modified: z.string(),
      }),
    ),
    truncated: z.boolean().describe('Whether there are more.'),
  }),
  annotations: READ_ONLY,
  run: async (call, { session_id, path = '.', depth }) => {
    const { userUuid } = openedSessionOf(call, session_id).place;
    const page = await call.service.files({ userUuid, path, depth, first: MAX_ENTRIES });
    const files = page.edges.map(({ item: { entry } }) => ({
      path: entry.path,
      kind: entry.kind,
      size: entry.size,
      modified: new Date(entry.modifiedAt).toISOString(),
    }));
    return answered({ files, truncated: page.hasNextPage });
  },
});

export const writeFile: Tool = tool({
  name: 'write_file',
  title: 'Write a file',
  description:
    'Writes a file of the session, with content or content_base64. A file that is there is replaced, and folders on the way are made. Python finds it under the same path.',
  input: z.strictObject({
    session_id: SESSION_ID.optional(),
    path: PATH,
    content: z.string().optional().describe('As text.'),
    content_base64: z.string().optional().describe('As bytes.'),
    append: z.boolean().optional().describe('Add to the end instead. Default false.'),
  }),
  output: z.object({ session_id: z.string(), path: z.string(), size: z.number() }),
  annotations: { readOnlyHint: false, destructiveHint: true, openWorldHint: false },
  run: async (call, { session_id, path, content, content_base64, append }) => {
    const { id, place } = sessionOf(call, session_id);
    const { userUuid } = place;
    const { entry } = await call.service.writeFile({
      userUuid,
      path,
      text: content,
      base64: content_base64,
      append,
    });
    return answered({ session_id: id, path: entry.path, size: entry.size });
  },
});

/** The largest image. Images are only shown as a whole. In base64, this is 1 MiB. */
const MAX_IMAGE_BYTES = 786_432;
/** The most bytes that one call returns in base64. */
const MAX_BINARY_BYTES = 786_432;
const IMAGES: readonly (readonly [mimeType: string, begins: Buffer])[] = [
  ['image/png', Buffer.from('89504e470d0a1a0a', 'hex')],
  ['image/jpeg', Buffer.from('ffd8ff', 'hex')],
];

/** Reads a part of a file, or shows an image. */
export const readFile: Tool = tool({
  name: 'read_file',
  title: 'Read a file',
  description: `Reads a text file of the session, at most ${MAX_RESULT_CHARS} bytes at a time, or shows a PNG or JPEG file as an image. For other files, use execute_code.`,
  input: z.strictObject({
    session_id: SESSION_ID.optional(),
    path: z.string().min(1).describe('Relative to /home/user, or absolute.'),
    offset: z
      .number()
      .int()
      .min(0)
      .optional()
      .describe('Where to begin, in bytes: 0, or next_offset of a result.'),
    as_base64: z
      .boolean()
      .optional()
      .describe('For programs: the bytes in structuredContent, at most 768 KiB. Default false.'),
  }),
  output: z.object({
    path: z.string(),
    size: z.number().describe('Of the whole file, in bytes.'),
    content: z
      .string()
      .nullable()
      .describe('Null for an image, for what is no text, and with as_base64.'),
    content_base64: z.string().nullable(),
    next_offset: z
      .number()
      .nullable()
      .describe('Where the rest begins. Null: no rest, or no text.'),
  }),
  annotations: READ_ONLY,
  run: async (call, { session_id, path, offset = 0, as_base64 = false }) => {
    const { userUuid } = openedSessionOf(call, session_id).place;
    const length = as_base64 ? MAX_BINARY_BYTES : MAX_IMAGE_BYTES;
    const read = await call.service.readContent({ userUuid, path, offset, length });
    const bytes = await buffer(read.body);
    if (as_base64) return binary(read, bytes);
    return (offset === 0 && image(read, bytes)) || text(read, bytes);
  },
});

function binary({ entry, offset }: FileContent, bytes: Buffer): CallToolResult {
  const end = offset + bytes.length;
  return {
    content: [{ type: 'text', text: `content_base64 has ${bytes.length} bytes of ${entry.path}.` }],
    structuredContent: {
      path: entry.path,
      size: entry.size,
      content: null,
      content_base64: bytes.toString('base64'),
      next_offset: end < entry.size ? end : null,
    },
  };
}

function image({ entry: { path, size } }: FileContent, bytes: Buffer): CallToolResult | null {
  const [mimeType] =
    IMAGES.find(([, begins]) => bytes.subarray(0, begins.length).equals(begins)) ?? [];
  if (mimeType === undefined || bytes.length < size) return null;
  return {
    content: [
      { type: 'text', text: `${path}: ${mimeType}, ${size} bytes` },
      { type: 'image', mimeType, data: bytes.toString('base64') },
    ],
    structuredContent: { path, size, content: null, content_base64: null, next_offset: null },
  };
}

function text({ entry: { path, size }, offset }: FileContent, read: Buffer): CallToolResult {
  const bytes = read.subarray(0, wholeChars(read, MAX_RESULT_CHARS));
  const content = decoded(bytes);
  const end = offset + bytes.length;
  const next_offset = content !== null && end < size ? end : null;
  const rest = next_offset === null ? '' : `\n[${size - end} bytes follow: offset=${next_offset}]`;
  return {
    content: [
      {
        type: 'text',
        text: content === null ? `${path} is no text: ${size} bytes` : content + rest,
      },
    ],
    structuredContent: { path, size, content, content_base64: null, next_offset },
  };
}

/** How many of the bytes, at most `limit`, can be kept without cutting a character of UTF-8. */
function wholeChars(bytes: Buffer, limit: number): number {
  if (bytes.length <= limit) return bytes.length;
  let end = limit;
  // A byte that continues a character begins with the bits 10. A character has at most three such bytes.
  while (end > limit - 4 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return end;
}

function decoded(bytes: Buffer): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}
