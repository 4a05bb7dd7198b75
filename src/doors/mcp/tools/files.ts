/** Small files of a session. */
import { z } from 'zod';
import type { FileKind } from '../../../domain/workerFiles.ts';
import { openedSessionOf, sessionOf } from '../session.ts';
import { answered, SESSION_ID, type Tool, tool } from './tool.ts';

const MAX_ENTRIES = 200;
const MAX_DEPTH = 5;
const KINDS = ['file', 'directory', 'link', 'other'] as const satisfies readonly FileKind[];

const PATH = z.string().min(1).describe('Relative to /home/user, or absolute.');
/** The annotations of tools that only read. */
export const LOOKS = { readOnlyHint: true, openWorldHint: false } as const;

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
  annotations: LOOKS,
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
