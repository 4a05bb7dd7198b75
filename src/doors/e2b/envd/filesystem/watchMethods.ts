/** The watchers of `filesystem.Filesystem`: over a stream, and asked from time to time. */
import type { FolderEvent } from '../../../../domain/workerFiles.ts';
import type { Fields } from '../../../shared/fields.ts';
import type { SandboxCall } from '../../surface.ts';
import { sandboxPath } from '../files/sandboxPath.ts';
import { flagIn, textIn } from '../rpc/fields.ts';
import type { RpcMethods, RpcStream } from '../rpc/method.ts';
import { eventsOfE2b } from './watchEvents.ts';

/** How long a watcher that nobody asks is kept. In a sandbox of E2B, it is for as long as the sandbox lives. */
const KEEP_MS = 3_600_000;
/** Of one answer. The rest comes with the next one. */
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

/** What to watch. A flag to watch network mounts, too, is of no consequence: there are none. */
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
    told: async (events) => {
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
    const told = await sandbox.call.service.watcherEvents(namedIn(sandbox, message));
    events.push(...told.events);
    if (!told.hasMore) break;
  }
  return { events: eventsOfE2b(events) };
}

async function removeWatcher(sandbox: SandboxCall, message: Fields): Promise<object> {
  await sandbox.call.service.removeWatcher(namedIn(sandbox, message));
  return {};
}
