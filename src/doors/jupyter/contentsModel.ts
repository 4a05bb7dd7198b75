/** Files as Jupyter's contents API shows them. */
import { isUtf8 } from 'node:buffer';
import mime from 'mime';
import { DomainError } from '../../domain/errors.ts';
import type { FileEntry } from '../../domain/workerFiles.ts';

export type ContentsType = 'directory' | 'file' | 'notebook';
type ContentsFormat = 'json' | 'text' | 'base64';

export interface ContentsModel {
  readonly name: string;
  /** Relative to the home. Empty: the home itself. */
  readonly path: string;
  readonly type: ContentsType;
  readonly created: string;
  readonly last_modified: string;
  readonly mimetype: string | null;
  readonly format: ContentsFormat | null;
  /** Null: the client asked for no content. */
  readonly content: unknown;
  readonly size: number | null;
  readonly writable: boolean;
}

const NOTEBOOK = /\.ipynb$/;
const OWNER_MAY_WRITE = 0o200;

/** The type of a file, by its name. */
export function typeOf({ kind, name }: Pick<FileEntry, 'kind' | 'name'>): ContentsType {
  if (kind === 'directory') return 'directory';
  return NOTEBOOK.test(name) ? 'notebook' : 'file';
}

/** The model without content. */
export function modelOf(entry: FileEntry, type: ContentsType = typeOf(entry)): ContentsModel {
  const isHome = entry.path === '.';
  const modified = new Date(entry.modifiedAt).toISOString();
  return {
    name: isHome ? '' : entry.name,
    path: isHome ? '' : entry.path,
    type,
    created: modified,
    last_modified: modified,
    mimetype: null,
    format: null,
    content: null,
    size: entry.kind === 'directory' ? null : entry.size,
    writable: (entry.mode & OWNER_MAY_WRITE) !== 0,
  };
}

/** The home of a user who has no session yet: it is empty. */
export function emptyHome(at: Date): ContentsModel {
  const time = at.toISOString();
  return {
    name: '',
    path: '',
    type: 'directory',
    created: time,
    last_modified: time,
    mimetype: null,
    format: 'json',
    content: [],
    size: null,
    writable: true,
  };
}

/** A folder with what is in it. Like a Jupyter server, it hides names that begin with a dot. */
export function folderModel(entry: FileEntry, entries: readonly FileEntry[]): ContentsModel {
  const content = entries.filter(({ name }) => !name.startsWith('.')).map((each) => modelOf(each));
  return { ...modelOf(entry, 'directory'), format: 'json', content };
}

/**
 * A file with its content.
 * @param format the requested one. Null: text if the file is UTF-8, otherwise base64
 * @throws BAD_USER_INPUT if a notebook was asked for and the file is not JSON, or text was and the file is not UTF-8
 */
export function fileModel(
  entry: FileEntry,
  bytes: Buffer,
  type: ContentsType,
  format: ContentsFormat | null,
): ContentsModel {
  const model = modelOf(entry, type);
  if (type === 'notebook') return { ...model, format: 'json', content: notebookIn(bytes) };
  const isText = format === 'text' || (format === null && isUtf8(bytes));
  if (isText && !isUtf8(bytes)) throw bad('The file is not UTF-8 encoded.');
  const fallback = isText ? 'text/plain' : 'application/octet-stream';
  return {
    ...model,
    mimetype: mime.getType(entry.name) ?? fallback,
    format: isText ? 'text' : 'base64',
    content: bytes.toString(isText ? 'utf8' : 'base64'),
  };
}

function notebookIn(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (cause: unknown) {
    throw bad('Unreadable Notebook: it is not JSON.', { cause });
  }
}

/** The bytes of the file that a client saves. Null: it saves a folder. @throws BAD_USER_INPUT */
export function savedBytes(
  type: ContentsType,
  format: string | null | undefined,
  content: unknown,
): Buffer | null {
  if (type === 'directory') return null;
  // Indented by one space, as in Jupyter's own files, so that both can be compared line by line.
  if (type === 'notebook') return Buffer.from(`${JSON.stringify(content ?? null, null, 1)}\n`);
  if (typeof content !== 'string') throw bad('content must be a string.');
  return Buffer.from(content, format === 'base64' ? 'base64' : 'utf8');
}

function bad(message: string, options?: ErrorOptions): DomainError {
  return new DomainError('BAD_USER_INPUT', message, {}, options);
}
