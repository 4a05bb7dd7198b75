/**
 * Checks the uploads, downloads and deletions of clients. A download must get the whole of one upload: the last one
 * that was answered, or one that may have taken effect after it. A file may be missing only if it was deleted, or if
 * its session has ended.
 */
import { FILE_NAMES } from '../clients/files.ts';
import { LIST_NAME } from '../clients/shellCells.ts';
import type { FileRecord } from '../history.ts';
import {
  doubled,
  type Facts,
  groupBy,
  LATE_EFFECT_MS,
  lost,
  ofType,
  orphan,
  type Violation,
} from './facts.ts';

/** Names of files that are not a client's: the file that fills a disk, IPython's folder, and the list of commands. */
const OTHER_NAMES = ['fill', '.ipython', LIST_NAME];

export function checkFiles(facts: Facts): Violation[] {
  const byFile = groupBy(facts.history.files, ({ user, name }) => `${user}/${name}`);
  return [
    ...[...byFile.values()].flatMap((records) => checkDownloads(facts, records)),
    ...facts.history.files.flatMap((record) => checkUpload(facts, record)),
    ...checkRecorded(facts),
    ...facts.history.files.flatMap(checkList),
  ];
}

/** @param records all operations on one file, in the order in which its user did them */
function checkDownloads(facts: Facts, records: readonly FileRecord[]): Violation[] {
  return records.flatMap((record, index) =>
    record.operation === 'download' && record.answer !== null
      ? checkDownload(facts, record, records.slice(0, index))
      : [],
  );
}

function checkDownload(
  facts: Facts,
  download: FileRecord,
  before: readonly FileRecord[],
): Violation[] {
  const name = `${download.name} of ${download.user}`;
  const got = download.answer?.sha256 ?? null;
  const changes = before.filter(({ operation }) => operation !== 'download');
  const last = changes.findLast(({ answer }) => answer !== null);
  const possible = [
    last?.sha256 ?? null,
    ...changes
      .filter((change) => isUnsure(change) && mayFollow(change, last))
      .map(({ sha256 }) => sha256),
  ];
  if (possible.includes(got)) return [];
  if (got !== null) {
    const isOlder = changes.some(({ sha256 }) => sha256 === got);
    return [lost(isOlder ? `${name} was read with older content` : `${name} was read torn`)];
  }
  const since = (last?.startedAt ?? 0) - LATE_EFFECT_MS;
  const hasEnded = facts.sessions.some(
    ({ user, closes }) =>
      user === download.user && closes.some(({ at }) => at >= since && at <= download.endedAt),
  );
  return hasEnded ? [] : [lost(`${name} is gone, and its session has not ended`)];
}

/** Whether an attempt of this change got no answer, so that it may take effect late. */
function isUnsure({ answer, refusal, failures }: FileRecord): boolean {
  return (answer === null && refusal === null) || Object.keys(failures).length > 0;
}

function mayFollow(change: FileRecord, last: FileRecord | undefined): boolean {
  return last === undefined || change.endedAt + LATE_EFFECT_MS >= last.startedAt;
}

/** Checks that an answered upload is recorded, and that no upload is recorded more often than it was attempted. */
function checkUpload({ history }: Facts, upload: FileRecord): Violation[] {
  if (upload.operation !== 'upload') return [];
  const name = `the upload of ${upload.name} by ${upload.user}`;
  const failed = Object.values(upload.failures).reduce((sum, count) => sum + count, 0);
  const recorded = ofType(history.events, 'FileWritten').filter(
    ({ event }) => event.data.sha256 === upload.sha256,
  );
  if (upload.answer !== null && recorded.length === 0) return [lost(`${name} is not recorded`)];
  return recorded.length > failed + 1
    ? [doubled(`${name} is recorded ${recorded.length} times`)]
    : [];
}

/** Checks that each file recorded as written is the whole of what a client sent. */
function checkRecorded({ history }: Facts): Violation[] {
  const sent = new Set(history.files.map(({ sha256 }) => sha256));
  return ofType(history.events, 'FileWritten').flatMap(({ streamId, event }) =>
    sent.has(event.data.sha256) ? [] : [lost(`${streamId} recorded a file that nobody sent`)],
  );
}

function checkList({ operation, user, answer }: FileRecord): Violation[] {
  if (operation !== 'list') return [];
  if (answer === null) return [lost(`the files of ${user} could not be listed`)];
  const strangers = answer.names.filter(
    (name) => !OTHER_NAMES.includes(name) && !FILE_NAMES.includes(name),
  );
  return strangers.map((name) => orphan(`file ${name} in the home of ${user}`));
}
