/** The schemas of a worker's answers about files (docs/internals/worker-protocol.md, "Files"). */

import type { Readable } from 'node:stream';
import { z } from 'zod';
import {
  ETAG,
  type FileEntry,
  FileRefusedError,
  FOLDER_EVENT_TYPES,
  type FolderEvent,
  type ListedFile,
} from '../../domain/workerFiles.ts';
import { KernelHttpError } from '../channel/kernelErrors.ts';
import { parseJson } from '../frames/json.ts';

const base64 = z.string().max(8_192).optional();
const kind = z.enum(['file', 'directory', 'link', 'other']);
const owner = z.string().max(256);
const linkEnd = z
  .object({ path: z.string().max(20_000), kind, mode: z.number().int().nonnegative() })
  .nullable()
  .default(null);

export const entrySchema = z
  .object({
    path: z.string().max(20_000),
    path_base64: base64,
    name: z.string().max(2_000),
    kind,
    size: z.number().int().nonnegative(),
    mode: z.number().int().nonnegative(),
    modified_at: z.number(),
    etag: z.string().regex(ETAG),
    owner,
    group: owner,
    target: z.string().max(20_000).nullable(),
    leads_to: linkEnd,
  })
  .transform(
    ({ path_base64: bytes, modified_at: modifiedAt, leads_to: leadsTo, ...rest }): FileEntry => ({
      ...rest,
      leadsTo,
      pathBytes: bytes === undefined ? Buffer.from(rest.path) : Buffer.from(bytes, 'base64'),
      modifiedAt,
    }),
  );

const listedSchema = z
  .looseObject({ position: z.string().max(8_192) })
  .transform((entry, context): ListedFile => {
    const { data, error } = entrySchema.safeParse(entry);
    if (data) return { ...data, position: entry.position };
    context.addIssue({ code: 'custom', message: error.message });
    return z.NEVER;
  });

export const listingSchema = z.object({
  entries: z.array(listedSchema).max(1_000),
  next: z.string().max(8_192).nullable(),
});

export const writtenSchema = z.object({ entry: entrySchema, created: z.boolean() });

export const movedSchema = z.object({ entry: entrySchema });

/** How many files were deleted or unpacked, and their bytes. */
export const countSchema = z.object({
  size: z.number().int().nonnegative(),
  files: z.number().int().nonnegative(),
});

const refusalSchema = z.object({
  error: z.enum([
    'bad_request',
    'bad_path',
    'too_many_links',
    'bad_archive',
    'permission_denied',
    'not_found',
    'timed_out',
    'not_a_file',
    'not_a_directory',
    'not_empty',
    'exists',
    'other_disk',
    'precondition_failed',
    'too_large',
    'bad_range',
    'busy',
    'unavailable',
    'disk_full',
    'other_session',
    'other_boot',
    'no_watcher',
    'too_many_watchers',
    'too_many_watched',
  ]),
  /** Left out by refusals that are not about a file. */
  message: z.string().max(500).optional(),
});

// Refusals.

/** A page of 1,000 entries has at most 4 MiB (the agent's limit), plus what its JSON adds. */
const MAX_ANSWER_BYTES = 8 * 1_048_576;

/**
 * The error for a refusal.
 * @param path may have a query, which the message leaves out, because file names must not be logged
 */
export async function fileErrorOf(
  { status, body }: { readonly status: number; readonly body: Readable },
  { method, path }: { readonly method: string; readonly path: string },
): Promise<Error> {
  const { success, data } = refusalSchema.safeParse(parseJson(await textOf(body)));
  // An older agent, which does not know the operation, refuses it like this.
  const isUnknown = success && data.error === 'not_found' && data.message === undefined;
  if (success && !isUnknown)
    return new FileRefusedError(data.error, data.message ?? 'The worker refused.');
  return new KernelHttpError(status, null, `${method} ${path.split('?', 1)[0]}`);
}

/** The whole body of an answer. @throws if it is too long or cut */
export async function textOf(answer: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_ANSWER_BYTES) throw new Error('The answer of the worker is too long.');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

// The schemas of a worker's answers about watchers of folders (docs/internals/worker-protocol.md, "Watchers").

export const watcherSchema = z.object({ watcher: z.string().regex(/^[\w-]{1,64}$/) });

const eventSchema = z
  .object({
    event: z.enum(FOLDER_EVENT_TYPES),
    name: z.string().min(1).max(20_000),
    entry: entrySchema.nullable().default(null),
  })
  .transform(({ event: type, ...rest }): FolderEvent => ({ type, ...rest }));

export const watchedSchema = z
  .object({ events: z.array(eventSchema).max(1_000), has_more: z.boolean() })
  .transform(({ events, has_more: hasMore }) => ({ events, hasMore }));

export const unwatchedSchema = z.object({});
