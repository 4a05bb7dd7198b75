/** Jupyter's contents API, on the files of the user's session. */
import { DomainError } from '../../../domain/errors.ts';
import { quoted } from '../../../domain/quoted.ts';
import type { FileEntry } from '../../../domain/workerFiles.ts';
import type { FileView } from '../../../service/files/sessionFiles.ts';
import type { DoorCall } from '../../openDoor.ts';
import type { Fields } from '../../shared/fields.ts';
import { answerJson, answerNothing, errorBody } from '../rest/answer.ts';
import { bad, bodyOf, textOf } from '../rest/body.ts';
import type { RestCall, RestRoute } from '../rest/route.ts';
import {
  type ContentsFormat,
  type ContentsModel,
  type ContentsType,
  emptyHome,
  fileModel,
  folderModel,
  modelOf,
  savedBytes,
  typeOf,
} from './model.ts';
import { copyOf, homePath, inFolder, nameIn, untitled } from './names.ts';

/** The most names of a folder that are listed. Clients show all of them. */
const MAX_LISTED = 10_000;
const PAGE = 1_000;
/** The note in the model of the home. */
const NOTE = 'These files end with the session of their user. Save elsewhere what is to stay.';
const EMPTY_NOTEBOOK = { cells: [], metadata: {}, nbformat: 4, nbformat_minor: 5 };

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

/** @throws NOT_FOUND for a token with which each kernel has files of its own */
function homeOf({ call, kernels, id }: RestCall): Home {
  const { filesOf: userUuid } = kernels;
  if (userUuid !== null) return { call, userUuid, path: homePath(id) };
  throw new DomainError(
    'NOT_FOUND',
    'With this token, each kernel has files of its own. Use a token for one user to see files here.',
  );
}

function noCheckpoints({ call }: RestCall): void {
  answerJson(call.res, 501, errorBody('There are no checkpoints.'));
}

async function get(rest: RestCall): Promise<void> {
  const home = homeOf(rest);
  const { call, userUuid, path } = home;
  const found = await call.service.file(userUuid, path, { follow: true });
  const isHome = path === '.';
  if (found === null && !isHome) throw missing(path);
  const model = found === null ? emptyHome(new Date()) : await shown(home, named(found, path));
  answerJson(call.res, 200, isHome ? { ...model, note: NOTE } : model);
}

/** The view under the requested path, even if a link led to a file of another path. */
function named({ userUuid, entry }: FileView, path: string): FileView {
  return { userUuid, entry: { ...entry, path, name: nameIn(path) } };
}

async function shown(home: Home, view: FileView): Promise<ContentsModel> {
  const { query, service } = home.call;
  const { entry } = view;
  const type = askedType(query.get('type')) ?? typeOf(entry);
  const isFolder = entry.kind === 'directory';
  if ((type === 'directory') !== isFolder)
    throw bad(`${quoted(entry.path)} is ${isFolder ? 'a' : 'no'} folder.`);
  if (query.get('content') === '0') return modelOf(entry, type);
  if (isFolder) return folderModel(entry, await listed(home, entry.path));
  const bytes = await service.fileText(view, { charge: () => {} });
  if (bytes === null) throw missing(entry.path);
  return fileModel(entry, bytes, type, askedFormat(query.get('format')));
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
  const body = await bodyOf(call);
  const isFirst = (body.chunk ?? 1) === 1;
  const before = await call.service.file(userUuid, path);
  const entry = await saved(home, path, body, !isFirst);
  const type = askedType(textOf(body, 'type')) ?? typeOf(entry);
  const isNew = before === null && isFirst;
  answerJson(call.res, isNew ? 201 : 200, modelOf(entry, type), location(path));
}

async function saved(
  { call, userUuid }: Home,
  path: string,
  body: Fields,
  append: boolean,
): Promise<FileEntry> {
  const type = askedType(textOf(body, 'type')) ?? typeOf({ kind: 'file', name: path });
  const bytes = savedBytes(type, textOf(body, 'format'), body.content);
  if (bytes === null) return (await call.service.makeDirectory(userUuid, path)).entry;
  const base64 = bytes.toString('base64');
  return (await call.service.writeFile({ userUuid, path, base64, append })).entry;
}

/** Makes an untitled file, notebook or folder, or a copy of a file. */
async function make(rest: RestCall): Promise<void> {
  const home = homeOf(rest);
  const { call, userUuid, path } = home;
  const body = await bodyOf(call);
  const folder = await call.service.file(userUuid, path, { follow: true });
  if (folder === null && path !== '.') throw missing(path);
  const taken = new Set(folder ? (await listed(home, path)).map(({ name }) => name) : []);
  const from = textOf(body, 'copy_from');
  const [name, content] =
    from === null ? fresh(body, taken) : await copied(home, homePath(from), taken);
  const to = inFolder(path, name);
  const entry = await saved(home, to, content, false);
  answerJson(call.res, 201, modelOf(entry), location(to));
}

function fresh(body: Fields, taken: ReadonlySet<string>): [string, Fields] {
  const type = askedType(textOf(body, 'type')) ?? 'file';
  const name = untitled(type, textOf(body, 'ext') ?? '.txt', taken);
  return [name, { type, content: type === 'notebook' ? EMPTY_NOTEBOOK : '' }];
}

async function copied(
  { call, userUuid }: Home,
  from: string,
  taken: ReadonlySet<string>,
): Promise<[string, Fields]> {
  const found = await call.service.file(userUuid, from, { follow: true });
  const bytes = found && (await call.service.fileText(found, { charge: () => {} }));
  if (!bytes) throw missing(from);
  const name = nameIn(from);
  const content = { type: 'file', format: 'base64', content: bytes.toString('base64') };
  return [taken.has(name) ? copyOf(name, taken) : name, content];
}

async function rename(rest: RestCall): Promise<void> {
  const { call, userUuid, path: from } = homeOf(rest);
  const given = textOf(await bodyOf(call), 'path');
  if (given === null) throw bad('Missing field in JSON data: path');
  const to = homePath(given);
  const { entry } = await call.service.moveFile({ userUuid, from, to });
  answerJson(call.res, 200, modelOf(entry), location(to));
}

async function remove(rest: RestCall): Promise<void> {
  const { call, userUuid, path } = homeOf(rest);
  if (!(await call.service.deleteFile(userUuid, path))) throw missing(path);
  answerNothing(call.res);
}

function askedType(given: string | null): ContentsType | null {
  if (given === null || given === 'directory' || given === 'file' || given === 'notebook')
    return given;
  throw bad('type must be directory, file or notebook.');
}

function askedFormat(given: string | null): ContentsFormat | null {
  if (given === null || given === 'text' || given === 'base64' || given === 'json') return given;
  throw bad('format must be text, base64 or json.');
}

function location(path: string): Readonly<Record<string, string>> {
  return { Location: `/api/contents/${path.split('/').map(encodeURIComponent).join('/')}` };
}

function missing(path: string): DomainError {
  return new DomainError('FILE_NOT_FOUND', `No such file or directory: ${quoted(path)}`);
}
