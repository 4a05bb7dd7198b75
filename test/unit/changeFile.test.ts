/** The answers to changes of files that fail, and the events that record them. */
import { expect, it } from 'vitest';
import {
  decideFileChange,
  evolveFileChange,
  type FileChange,
  type FileOperation,
} from '../../src/domain/fileChange.ts';
import { filePath } from '../../src/domain/filePath.ts';
import type { FileChangeId, SessionId, WorkerId } from '../../src/domain/ids.ts';
import type { Session } from '../../src/domain/session.ts';
import { type FileRefusalCode, FileRefusedError } from '../../src/domain/workerFiles.ts';
import { type Commit, DatabaseAwayError } from '../../src/events/store/eventStore.ts';
import { newId } from '../../src/process/newId.ts';
import { type ChangeFileDeps, changeFile } from '../../src/service/files/changeFile.ts';

const requested = {
  at: '2026-01-01T00:00:00.000Z',
  changeId: newId<FileChangeId>(),
  tenant: 'default',
  userUuid: 'ann',
  sessionId: newId<SessionId>(),
  workerId: newId<WorkerId>(),
  path: 'a',
  toPath: null,
} as const;
const changeOf = (operation: FileOperation) =>
  decideFileChange({ type: 'RequestFileChange', ...requested, operation }, null).reduce(
    evolveFileChange,
    null as FileChange | null,
  );
const session = { id: requested.sessionId, version: 1 } as Session;

/**
 * Makes a change that the worker refuses with this code. The commit of the request succeeds; the commit of the change's
 * end goes to `record`.
 */
function refusedChange(
  operation: FileOperation,
  code: FileRefusalCode,
  record: (commit: Commit) => void,
): Promise<unknown> {
  let commits = 0;
  const commit = async (given: Commit) => {
    commits += 1;
    if (commits > 1) record(given);
    return { states: [changeOf(operation)] };
  };
  const deps = {
    database: { store: { commit } },
    pool: { filesOf: async () => ({}) },
    sessionUses: { hold: () => () => {} },
    newId,
    now: () => new Date(),
  } as unknown as ChangeFileDeps;
  const wanted = { operation, path: filePath(Buffer.from('a')) };
  return changeFile(
    deps,
    async () => session,
    wanted,
    async () => {
      throw new FileRefusedError(code, 'Refused.');
    },
  );
}

it('if the end of a failed change cannot be recorded because the database is away, only that error is reported', async () => {
  const away = new DatabaseAwayError(30_000);
  const fail = () => {
    throw away;
  };
  await expect(refusedChange('write', 'disk_full', fail)).rejects.toBe(away);
});

it('if the end of a failed change cannot be recorded because of a defect, both errors are reported', async () => {
  const defect = new Error('a defect');
  const fail = () => {
    throw defect;
  };
  await expect(refusedChange('write', 'disk_full', fail)).rejects.toMatchObject({
    errors: [{ code: 'NO_SPACE' }, defect],
  });
});

it('the answer to a change that does not fit on the disk says that an archive may be extracted in part', async () => {
  await expect(refusedChange('extract', 'disk_full', () => {})).rejects.toMatchObject({
    code: 'NO_SPACE',
    message: expect.stringMatching(
      /old or its new content. An archive may be extracted in part\.$/,
    ),
  });
});

it.each<[FileOperation, FileRefusalCode, boolean]>([
  ['write', 'disk_full', false],
  ['move', 'not_found', false],
  ['delete', 'not_found', false],
  ['delete', 'precondition_failed', false],
  // The worker may reach a limit of the system halfway.
  ['delete', 'busy', true],
  ['delete', 'not_empty', true],
  ['delete', 'permission_denied', true],
  ['extract', 'busy', true],
  ['extract', 'bad_archive', true],
  ['extract', 'not_found', true],
])(
  'the end of a %s that is refused as %s is recorded with mayHaveHappened %s',
  async (operation, code, mayHaveHappened) => {
    const recorded: Commit[] = [];
    await refusedChange(operation, code, (commit) => recorded.push(commit)).catch(() => null);
    expect(recorded.map(({ streams }) => streams[0]?.events)).toMatchObject([
      [{ type: 'FileChangeFailed', data: { mayHaveHappened } }],
    ]);
  },
);
