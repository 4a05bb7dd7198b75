import type {
  ExecutionFiles,
  FileChange,
  FileChangeKind,
  NoChangesReason,
} from '../../domain/executionFiles.ts';
import { unknownFiles } from '../../domain/executionFiles.ts';
import { storableText } from '../../domain/storableText.ts';
import { isJsonObject, readSize, readTime } from './jsonValue.ts';

/** The list becomes part of an event and a row, and no reader needs more changes. The agent has the same limit. */
const MAX_CHANGES = 1_000;
/** Size of the whole list as JSON, for the same reason. A usual change has about 100 bytes. */
const MAX_CHANGES_BYTES = 65_536;
/** The last millisecond of the year 9999: PostgreSQL and RFC 3339 read no later time in this form. */
const LAST_TIME_MS = Date.parse('9999-12-31T23:59:59.999Z');

const KINDS: Readonly<Record<string, FileChangeKind>> = {
  created: 'CREATED',
  modified: 'MODIFIED',
  deleted: 'DELETED',
};
const REASONS: Readonly<Record<string, NoChangesReason>> = {
  too_many_entries: 'too-many-entries',
  too_deep: 'too-deep',
  too_slow: 'too-slow',
  too_many_changes: 'too-many-changes',
  kernel_replaced: 'kernel-replaced',
  no_earlier_look: 'no-earlier-look',
  helper_away: 'helper-away',
};

/** What a reply says about changed files. Null if it says nothing. Never throws. */
export function readFiles(value: unknown): ExecutionFiles | null {
  if (value === undefined || value === null) return null;
  if (!isJsonObject(value)) return unknownFiles('malformed');
  const shared = value.shared === true;
  if (!Array.isArray(value.changes)) {
    const reason = own(REASONS, value.reason) ?? 'malformed';
    return { changes: null, reason, shared };
  }
  if (value.changes.length > MAX_CHANGES) return { changes: null, reason: 'malformed', shared };
  const changes = value.changes.map(readChange);
  if (!changes.every((change) => change !== null))
    return { changes: null, reason: 'malformed', shared };
  return Buffer.byteLength(JSON.stringify(changes)) > MAX_CHANGES_BYTES
    ? { changes: null, reason: 'too-many-changes', shared }
    : { changes, reason: null, shared };
}

function readChange(value: unknown): FileChange | null {
  if (!isJsonObject(value)) return null;
  const { path, size, modified_at: modifiedAt } = value;
  const change = own(KINDS, value.change);
  if (typeof path !== 'string' || path === '' || change === null) return null;
  return {
    path: storableText(path),
    change,
    size: readSize(size),
    modifiedAt: isoTime(readTime(modifiedAt)),
  };
}

function isoTime(ms: number | null): string | null {
  return ms === null || ms > LAST_TIME_MS ? null : new Date(ms).toISOString();
}

/** The table's own entry of that name. Inherited names such as `constructor` do not count. */
function own<T>(table: Readonly<Record<string, T>>, name: unknown): T | null {
  return typeof name === 'string' && Object.hasOwn(table, name) ? (table[name] ?? null) : null;
}
