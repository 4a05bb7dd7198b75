import type { FileEntry } from '../../domain/workerFiles.ts';

/** A file of a user's session, as it was when the worker looked. */
export interface FileView {
  readonly userUuid: string;
  readonly entry: FileEntry;
}
