/** Checks what a worker answers about files (docs/worker-protocol.md, "Files"). */
import { z } from 'zod';
import { ETAG, type FileEntry, type ListedFile } from '../../domain/workerFiles.ts';

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

export const refusalSchema = z.object({
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
