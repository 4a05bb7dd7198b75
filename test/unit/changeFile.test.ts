/** What a caller is told of a change of a file that failed, if that could not be recorded. */
import { expect, it } from 'vitest';
import {
  decideFileChange,
  evolveFileChange,
  type FileChange,
} from '../../src/domain/fileChange.ts';
import { FileRefusedError } from '../../src/domain/fileEntry.ts';
import { filePath } from '../../src/domain/filePath.ts';
import type { FileChangeId, SessionId, WorkerId } from '../../src/domain/ids.ts';
import type { Session } from '../../src/domain/session.ts';
import { DatabaseAwayError } from '../../src/events/store/eventStore.ts';
import { newId } from '../../src/process/newId.ts';
import { type ChangeFileDeps, changeFile } from '../../src/service/files/changeFile.ts';

const requested = {
  at: '2026-01-01T00:00:00.000Z',
  changeId: newId<FileChangeId>(),
  tenant: 'default',
  userUuid: 'ann',
  sessionId: newId<SessionId>(),
  workerId: newId<WorkerId>(),
  operation: 'write',
  path: 'a',
  toPath: null,
} as const;
const change = decideFileChange({ type: 'RequestFileChange', ...requested }, null).reduce(
  evolveFileChange,
  null as FileChange | null,
);
const session = { id: requested.sessionId, version: 1 } as Session;

/** Makes a change that the worker refuses. Its request is recorded; recording its end fails with `failure`. */
function refusedChange(failure: Error): Promise<unknown> {
  let commits = 0;
  const commit = async () => {
    commits += 1;
    if (commits > 1) throw failure;
    return { states: [change] };
  };
  const deps = {
    database: { store: { commit } },
    pool: { filesOf: async () => ({}) },
    sessionUses: { hold: () => () => {} },
    newId,
    now: () => new Date(),
  } as unknown as ChangeFileDeps;
  const wanted = { operation: 'write', path: filePath(Buffer.from('a')) } as const;
  return changeFile(
    deps,
    async () => session,
    wanted,
    async () => {
      throw new FileRefusedError('disk_full', 'No space.');
    },
  );
}

it('that the database is away, if it is', async () => {
  const away = new DatabaseAwayError(30_000);
  await expect(refusedChange(away)).rejects.toBe(away);
});

it('nothing of an unexpected failure, which has both causes', async () => {
  const failure = new Error('a defect');
  await expect(refusedChange(failure)).rejects.toMatchObject({
    errors: [{ code: 'NO_SPACE' }, failure],
  });
});
