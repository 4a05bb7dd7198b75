/** envd's service `filesystem.Filesystem`. */

import { DomainError } from '../../../domain/errors.ts';
import type { FileEntry, FolderEvent } from '../../../domain/workerFiles.ts';
import type { Fields } from '../../shared/body.ts';
import type { SandboxCall } from '../sandbox.ts';
import { sandboxPath } from './files.ts';
import { countIn, flagIn, RpcError, type RpcMethods, type RpcStream, textIn } from './rpc.ts';
import { entryInfoOf, eventsOfE2b } from './watchEvents.ts';

// The watchers of `filesystem.Filesystem`: one kind sends events over a stream, the other is polled.

/** How long an unpolled watcher is kept. In a sandbox of E2B, it is kept for as long as the sandbox lives. */
const KEEP_MS = 3_600_000;
/** The most pages of events in one answer. The next answer has the rest. */
const MAX_PAGES = 10;

export const WATCH_METHODS: RpcMethods = {
  'filesystem.Filesystem/WatchDir': {
    kind: 'stream',
    keepalive: { keepalive: {} },
    handle: watchDir,
  },
  'filesystem.Filesystem/CreateWatcher': { kind: 'unary', handle: createWatcher },
  'filesystem.Filesystem/GetWatcherEvents': { kind: 'unary', handle: getWatcherEvents },
  'filesystem.Filesystem/RemoveWatcher': { kind: 'unary', handle: removeWatcher },
};

/** What to watch. The message's flag for network mounts is ignored, because there are none. */
function asked({ userUuid }: SandboxCall, message: Fields) {
  return {
    userUuid,
    path: sandboxPath(textIn(message, 'path')),
    isRecursive: flagIn(message, 'recursive') ?? false,
    hasEntries: flagIn(message, 'includeEntry') ?? false,
  };
}

async function watchDir(sandbox: SandboxCall, message: Fields, out: RpcStream): Promise<void> {
  await sandbox.call.service.followFolder(asked(sandbox, message), {
    gone: out.gone,
    started: () => out.send({ start: {} }),
    onEvents: async (events) => {
      for (const filesystem of eventsOfE2b(events)) await out.send({ filesystem });
    },
  });
}

async function createWatcher(sandbox: SandboxCall, message: Fields): Promise<object> {
  const request = { ...asked(sandbox, message), keepMs: KEEP_MS };
  return { watcherId: await sandbox.call.service.createWatcher(request) };
}

function namedIn({ userUuid }: SandboxCall, message: Fields) {
  return { userUuid, watcherId: textIn(message, 'watcherId') };
}

async function getWatcherEvents(sandbox: SandboxCall, message: Fields): Promise<object> {
  const events: FolderEvent[] = [];
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const page = await sandbox.call.service.watcherEvents(namedIn(sandbox, message));
    events.push(...page.events);
    if (!page.hasMore) break;
  }
  return { events: eventsOfE2b(events) };
}

async function removeWatcher(sandbox: SandboxCall, message: Fields): Promise<object> {
  await sandbox.call.service.removeWatcher(namedIn(sandbox, message));
  return {};
}

/** The most entries in one answer. The answer is one message, so all of it is in memory. */
const MAX_LISTED = 100_000;
/** The most characters in the paths and names of these entries. In JSON, one character may take six bytes. */
const MAX_LISTED_CHARS = 4_194_304;
const PAGE_SIZE = 1_000;

export const FILESYSTEM_METHODS: RpcMethods = {
  'filesystem.Filesystem/Stat': { kind: 'unary', handle: stat },
  'filesystem.Filesystem/ListDir': { kind: 'unary', handle: listDir },
  'filesystem.Filesystem/MakeDir': { kind: 'unary', handle: makeDir },
  'filesystem.Filesystem/Move': { kind: 'unary', handle: move },
  'filesystem.Filesystem/Remove': { kind: 'unary', handle: remove },
};

async function stat(sandbox: SandboxCall, message: Fields): Promise<object> {
  const path = sandboxPath(textIn(message, 'path'));
  const found = await fileAt(sandbox, path);
  if (found === null) throw new RpcError('not_found', `file not found: ${path}`);
  return { entry: entryInfoOf(found) };
}

/** The file or link at a path. Null: there is none. @throws SESSION_ENDED */
async function fileAt(sandbox: SandboxCall, path: string): Promise<FileEntry | null> {
  const found = await sandbox.call.service.file(sandbox.userUuid, path);
  if (found === null) await requireAlive(sandbox);
  return found?.entry ?? null;
}

/**
 * The service gives the same answer for a missing file and a missing session. This function tells them apart.
 * @throws SESSION_ENDED
 */
async function requireAlive({ hasEnded }: SandboxCall): Promise<void> {
  if (await hasEnded()) throw new DomainError('SESSION_ENDED', 'The session has ended.');
}

/** Lists each folder before its content. Links are not followed, except for the path itself. */
async function listDir(sandbox: SandboxCall, message: Fields): Promise<object> {
  const { call, userUuid } = sandbox;
  const path = sandboxPath(textIn(message, 'path'));
  const depth = countIn(message, 'depth') || 1;
  const entries: object[] = [];
  let after: string | null = null;
  let chars = 0;
  do {
    const page = await call.service.files({ userUuid, path, depth, first: PAGE_SIZE, after });
    entries.push(...page.edges.map(({ item }) => entryInfoOf(item.entry)));
    for (const { item } of page.edges) chars += charsOf(item.entry);
    if (entries.length > MAX_LISTED || chars > MAX_LISTED_CHARS) throw tooMany(path);
    if (call.gone.aborted) break;
    after = page.hasNextPage ? (page.edges.at(-1)?.cursor ?? null) : null;
  } while (after !== null);
  return { entries };
}

function charsOf({ path, name, leadsTo }: FileEntry): number {
  return path.length + name.length + (leadsTo?.path.length ?? 0);
}

function tooMany(path: string): RpcError {
  const message = `${path} has more than ${MAX_LISTED} entries down to this depth, or more than ${MAX_LISTED_CHARS} characters in their paths. List its folders one by one.`;
  return new RpcError('failed_precondition', message);
}

async function makeDir(sandbox: SandboxCall, message: Fields): Promise<object> {
  const { call, userUuid } = sandbox;
  const path = sandboxPath(textIn(message, 'path'));
  const there = await call.service.file(userUuid, path, { follow: true });
  if (there !== null) throw taken(path, there.entry);
  const made = await call.service.makeDirectory(userUuid, path).catch(somethingInTheWay);
  // Another caller has made it since the check above.
  if (!made.created) throw taken(path, made.entry);
  return { entry: entryInfoOf(made.entry) };
}

function taken(path: string, { kind }: FileEntry): RpcError {
  if (kind === 'directory') {
    return new RpcError('already_exists', `directory already exists: ${path}`);
  }
  const message = `path already exists but it is not a directory: ${path}`;
  return new RpcError('invalid_argument', message);
}

function somethingInTheWay(error: unknown): never {
  if (error instanceof DomainError && error.code === 'FILE_EXISTS') {
    throw new RpcError('invalid_argument', error.message, { cause: error });
  }
  throw error;
}

/** A file or an empty folder at the destination is replaced. Missing folders above the destination are created. */
async function move({ call, userUuid }: SandboxCall, message: Fields): Promise<object> {
  const from = sandboxPath(textIn(message, 'source'));
  const to = sandboxPath(textIn(message, 'destination'));
  const how = { overwrite: true, makeParents: true };
  const { entry } = await call.service.moveFile({ userUuid, from, to, ...how });
  return { entry: entryInfoOf(entry) };
}

/** Removes a file, or a folder with its content. It is no error if the path does not exist. */
async function remove(sandbox: SandboxCall, message: Fields): Promise<object> {
  const { call, userUuid } = sandbox;
  const path = sandboxPath(textIn(message, 'path'));
  if (!(await call.service.deleteFile(userUuid, path))) await requireAlive(sandbox);
  return {};
}
