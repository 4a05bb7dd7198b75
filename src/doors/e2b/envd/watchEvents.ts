/** Files and their changes in the form of E2B's `filesystem` service. */
import { posix } from 'node:path';
import { WORKER_HOME } from '../../../domain/worker.ts';
import type {
  FileEntry,
  FileKind,
  FolderEvent,
  FolderEventType,
} from '../../../domain/workerFiles.ts';
import { nameIn } from './files.ts';

/** The range of times in a message, in milliseconds: the years 1 to 9999. */
const MIN_TIME_MS = Date.parse('0001-01-01T00:00:00Z');
const MAX_TIME_MS = Date.parse('9999-12-31T23:59:59.999Z');

const TYPES: Readonly<Record<FileKind, string>> = {
  file: 'FILE_TYPE_FILE',
  directory: 'FILE_TYPE_DIRECTORY',
  // Only a broken link reaches this row: all others have the type of their target.
  link: 'FILE_TYPE_UNSPECIFIED',
  other: 'FILE_TYPE_UNSPECIFIED',
};

/**
 * The first letter of the permissions, as in Go. `other` may be a pipe, a socket or a device, so it has Go's letter for
 * an irregular file.
 */
const LETTERS: Readonly<Record<FileKind, string>> = {
  file: '',
  directory: 'd',
  link: 'L',
  other: '?',
};

/** A file in envd's form. A link has the type and mode of its target. */
export function entryInfoOf(entry: FileEntry): object {
  const path = posix.join('/', posix.resolve(WORKER_HOME, entry.path));
  const { kind, mode } = entry.kind === 'link' ? (entry.leadsTo ?? NOTHING) : entry;
  return {
    name: nameIn(path),
    type: TYPES[kind],
    path,
    // In proto3's JSON, a 64-bit number is a string.
    size: String(entry.target === null ? entry.size : Buffer.byteLength(entry.target)),
    mode: mode & 0o777,
    permissions: permissionsOf(entry),
    owner: entry.owner,
    group: entry.group,
    modifiedTime: timeOf(entry.modifiedAt),
    ...(entry.kind === 'link' && { symlinkTarget: entry.leadsTo?.path ?? path }),
  };
}

const NOTHING: Pick<FileEntry, 'kind' | 'mode'> = { kind: 'link', mode: 0 };

/** Such as `-rw-r--r--`, with Go's letters for setuid, setgid and sticky. */
function permissionsOf({ kind, mode }: FileEntry): string {
  const bits = [
    [0o4000, 'u'],
    [0o2000, 'g'],
    [0o1000, 't'],
  ] as const;
  const special = bits.map(([bit, letter]) => (mode & bit ? letter : '')).join('');
  const letters = [...'rwxrwxrwx'].map((letter, at) => (mode & (0o400 >> at) ? letter : '-'));
  return `${LETTERS[kind] + special || '-'}${letters.join('')}`;
}

function timeOf(ms: number): string {
  return new Date(Math.min(MAX_TIME_MS, Math.max(MIN_TIME_MS, Math.trunc(ms)))).toISOString();
}

const EVENT_TYPES: Readonly<Record<FolderEventType, string>> = {
  create: 'EVENT_TYPE_CREATE',
  write: 'EVENT_TYPE_WRITE',
  remove: 'EVENT_TYPE_REMOVE',
  rename: 'EVENT_TYPE_RENAME',
  chmod: 'EVENT_TYPE_CHMOD',
};

/**
 * Converts events to envd's form. After the creation of a new file and before its first write, an event `chmod` is
 * added: envd creates a file and then changes its owner, and clients expect all three events.
 */
export function eventsOfE2b(events: readonly FolderEvent[]): object[] {
  return events.flatMap((event, at) => {
    const next = events[at + 1];
    const isNewFile = event.type === 'create' && next?.type === 'write' && next.name === event.name;
    return isNewFile
      ? [eventMessage(event), eventMessage({ ...event, type: 'chmod' })]
      : [eventMessage(event)];
  });
}

function eventMessage({ type, name, entry }: FolderEvent): object {
  return { name, type: EVENT_TYPES[type], ...(entry && { entry: entryInfoOf(entry) }) };
}
