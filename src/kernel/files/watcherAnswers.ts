/** Checks what a worker answers about watchers of folders (docs/worker-protocol.md, "Watchers"). */
import { z } from 'zod';
import { FOLDER_EVENT_TYPES, type FolderEvent } from '../../domain/workerFiles.ts';
import { entrySchema } from './fileAnswers.ts';

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
