/** Jupyter's contents API, on the files of the user's session. */

import { z } from 'zod';
import { DomainError } from '../../domain/errors.ts';
import { quoted } from '../../domain/text.ts';
import type { FileEntry } from '../../domain/workerFiles.ts';
import type { FileView } from '../../service/files/sessionFiles.ts';
import type { DoorCall } from '../openDoor.ts';
import { checked, optionalBody, readJson } from '../shared/body.ts';
import {
  type ContentsModel,
  type ContentsType,
  emptyHome,
  fileModel,
  folderModel,
  modelOf,
  savedBytes,
  typeOf,
} from './contentsModel.ts';
import {
  answerNothing,
  answerRest,
  bad,
  errorBody,
  type RestCall,
  type RestRoute,
  TEXT,
} from './rest.ts';

// Names for new files, as a Jupyter server chooses them, and paths as its clients write them.

const UNTITLED = { directory: 'Untitled Folder', notebook: 'Untitled', file: 'untitled' } as const;

/** The first free name for a new file or folder: `Untitled.ipynb`, then `Untitled1.ipynb`, and so on. */
export function untitled(
  type: ContentsType,
  extension: string,
  taken: ReadonlySet<string>,
): string {
  const end = type === 'notebook' ? '.ipynb' : type === 'directory' ? '' : extension;
  const between = type === 'directory' ? ' ' : '';
  return firstFree(taken, (n) => `${UNTITLED[type]}${n === 0 ? '' : `${between}${n}`}${end}`);
}

/** The first free name for a copy: `a-Copy1.txt`, then `a-Copy2.txt`. */
export function copyOf(name: string, taken: ReadonlySet<string>): string {
  const dot = name.indexOf('.', 1);
  const end = dot === -1 ? '' : name.slice(dot);
  const stem = name.slice(0, name.length - end.length).replace(/-Copy\d*$/, '');
  return firstFree(taken, (n) => `${stem}-Copy${n + 1}${end}`);
}

function firstFree(taken: ReadonlySet<string>, nth: (n: number) => string): string {
  let n = 0;
  while (taken.has(nth(n))) n += 1;
  return nth(n);
}

/** The path from the home. A client may write slashes before and after it. */
export function homePath(path: string): string {
  // Not a regular expression: a search for trailing slashes would begin again at each slash, and a path may have
  // millions.
  let start = 0;
  while (path[start] === '/') start += 1;
  let end = path.length;
  while (end > start && path[end - 1] === '/') end -= 1;
  return path.slice(start, end) || '.';
}

/** The path of a name in a folder. */
export function inFolder(folder: string, name: string): string {
  return folder === '.' ? name : `${folder}/${name}`;
}

/** The last part of a path. */
function nameIn(path: string): string {
  return path.split('/').at(-1) ?? path;
}

/** The most names of a folder that are listed. Clients show all of them. */
const MAX_LISTED = 10_000;
const PAGE = 1_000;
/** The note in the model of the home. */
const NOTE =
  'These files are deleted when the session ends. Save what you want to keep somewhere else.';
const EMPTY_NOTEBOOK = { cells: [], metadata: {}, nbformat: 4, nbformat_minor: 5 };

const TYPE = z
  .enum(['directory', 'file', 'notebook'], 'must be directory, file or notebook.')
  .nullish();
const FORMAT = z.enum(['text', 'base64', 'json'], 'must be text, base64 or json.').nullish();
/** The parameters of a query. */
const SHOWN = z.object({ type: TYPE, format: FORMAT, content: TEXT });
const ANYTHING = z.unknown().optional();
/** `chunk` is the number of a piece of a large file ({@link save}). */
const SAVED = optionalBody({ type: TYPE, format: TEXT, content: ANYTHING, chunk: ANYTHING });
const MADE = optionalBody({ type: TYPE, ext: TEXT, copy_from: TEXT });
const RENAMED = optionalBody({ path: TEXT });

type NewContent = Omit<z.output<typeof SAVED>, 'chunk'>;

export const CONTENTS_ROUTES: readonly RestRoute[] = [
  {
    path: /^\/api\/contents(?:\/(.*))?\/checkpoints(?:\/[^/]+)?$/,
    methods: { GET: noCheckpoints, POST: noCheckpoints, DELETE: noCheckpoints },
  },
  {
    path: /^\/api\/contents(?:\/(.*))?$/,
    methods: { GET: get, PUT: save, POST: make, PATCH: rename, DELETE: remove },
  },
];

interface Home {
  readonly call: DoorCall;
  readonly userUuid: string;
  readonly path: string;
}

/** @throws NOT_FOUND for a token that is not for one user: with it, each kernel has its own files */
function homeOf({ call, kernels, id }: RestCall): Home {
  const { filesOf: userUuid } = kernels;
  if (userUuid !== null) return { call, userUuid, path: homePath(id) };
  throw new DomainError(
    'NOT_FOUND',
    'With this token, each kernel has files of its own. Use a token for one user to see files here.',
  );
}

function noCheckpoints({ call }: RestCall): void {
  answerRest(call.res, 501, errorBody('There are no checkpoints.'));
}

async function get(rest: RestCall): Promise<void> {
  const home = homeOf(rest);
  const { call, userUuid, path } = home;
  const found = await call.service.file(userUuid, path, { follow: true });
  const isHome = path === '.';
  if (found === null && !isHome) throw missing(path);
  const model = found === null ? emptyHome(new Date()) : await shown(home, named(found, path));
  answerRest(call.res, 200, isHome ? { ...model, note: NOTE } : model);
}

/** The view with the requested path, even if that path is a link to another file. */
function named({ userUuid, entry }: FileView, path: string): FileView {
  return { userUuid, entry: { ...entry, path, name: nameIn(path) } };
}

async function shown(home: Home, view: FileView): Promise<ContentsModel> {
  const { query, service } = home.call;
  const { entry } = view;
  const asked = checked(Object.fromEntries(query), SHOWN);
  const type = asked.type ?? typeOf(entry);
  const isFolder = entry.kind === 'directory';
  if ((type === 'directory') !== isFolder)
    throw bad(`${quoted(entry.path)} is ${isFolder ? 'a' : 'no'} folder.`);
  if (asked.content === '0') return modelOf(entry, type);
  if (isFolder) return folderModel(entry, await listed(home, entry.path));
  const bytes = await service.fileText(view, { charge: () => {} });
  if (bytes === null) throw missing(entry.path);
  return fileModel(entry, bytes, type, asked.format ?? null);
}

async function listed({ call, userUuid }: Home, path: string): Promise<FileEntry[]> {
  const entries: FileEntry[] = [];
  let after: string | null = null;
  do {
    const page: Awaited<ReturnType<DoorCall['service']['files']>> = await call.service.files({
      userUuid,
      path,
      first: PAGE,
      after,
    });
    entries.push(...page.edges.map(({ item }) => item.entry));
    after = page.hasNextPage ? (page.edges.at(-1)?.cursor ?? null) : null;
  } while (after !== null && entries.length < MAX_LISTED);
  return entries;
}

/** A client sends a large file in chunks. The first has the number 1, and the last has the number -1. */
async function save(rest: RestCall): Promise<void> {
  const home = homeOf(rest);
  const { call, userUuid, path } = home;
  const { chunk, ...body } = await readJson(call, SAVED);
  const isFirst = (chunk ?? 1) === 1;
  const before = await call.service.file(userUuid, path);
  const entry = await saved(home, path, body, !isFirst);
  const type = body.type ?? typeOf(entry);
  const isNew = before === null && isFirst;
  answerRest(call.res, isNew ? 201 : 200, modelOf(entry, type), location(path));
}

async function saved(
  { call, userUuid }: Home,
  path: string,
  { type, format, content }: NewContent,
  append: boolean,
): Promise<FileEntry> {
  const bytes = savedBytes(type ?? typeOf({ kind: 'file', name: path }), format, content);
  if (bytes === null) return (await call.service.makeDirectory(userUuid, path)).entry;
  const base64 = bytes.toString('base64');
  return (await call.service.writeFile({ userUuid, path, base64, append })).entry;
}

/** Makes an untitled file, notebook or folder, or a copy of a file. */
async function make(rest: RestCall): Promise<void> {
  const home = homeOf(rest);
  const { call, userUuid, path } = home;
  const { copy_from: from, type, ext } = await readJson(call, MADE);
  const folder = await call.service.file(userUuid, path, { follow: true });
  if (folder === null && path !== '.') throw missing(path);
  const taken = new Set(folder ? (await listed(home, path)).map(({ name }) => name) : []);
  const [name, content] =
    from == null
      ? fresh(type ?? 'file', ext ?? '.txt', taken)
      : await copied(home, homePath(from), taken);
  const to = inFolder(path, name);
  const entry = await saved(home, to, content, false);
  answerRest(call.res, 201, modelOf(entry), location(to));
}

function fresh(type: ContentsType, ext: string, taken: ReadonlySet<string>): [string, NewContent] {
  const content = type === 'notebook' ? EMPTY_NOTEBOOK : '';
  return [untitled(type, ext, taken), { type, content }];
}

async function copied(
  { call, userUuid }: Home,
  from: string,
  taken: ReadonlySet<string>,
): Promise<[string, NewContent]> {
  const found = await call.service.file(userUuid, from, { follow: true });
  const bytes = found && (await call.service.fileText(found, { charge: () => {} }));
  if (!bytes) throw missing(from);
  const name = nameIn(from);
  const content = bytes.toString('base64');
  return [
    taken.has(name) ? copyOf(name, taken) : name,
    { type: 'file', format: 'base64', content },
  ];
}

async function rename(rest: RestCall): Promise<void> {
  const { call, userUuid, path: from } = homeOf(rest);
  const { path: given } = await readJson(call, RENAMED);
  if (given == null) throw bad('Missing field in JSON data: path');
  const to = homePath(given);
  const { entry } = await call.service.moveFile({ userUuid, from, to });
  answerRest(call.res, 200, modelOf(entry), location(to));
}

async function remove(rest: RestCall): Promise<void> {
  const { call, userUuid, path } = homeOf(rest);
  if (!(await call.service.deleteFile(userUuid, path))) throw missing(path);
  answerNothing(call.res);
}

function location(path: string): Readonly<Record<string, string>> {
  return { Location: `/api/contents/${path.split('/').map(encodeURIComponent).join('/')}` };
}

function missing(path: string): DomainError {
  return new DomainError('FILE_NOT_FOUND', `No such file or directory: ${quoted(path)}`);
}
