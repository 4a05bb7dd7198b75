/** What `cellhouse forget` reads of an owner with a long history. */
import { expect, it, onTestFinished } from 'vitest';
import { commitOne, fileChangeRequested, sessionOpened } from '../../testkit/events.ts';
import { useDatabase } from '../support/database.ts';
import { newMark } from '../support/forgettable.ts';

it('counting the history and the unfinished work of an owner has no time limit', async () => {
  const db = await useDatabase(onTestFinished);
  const { store, queries } = await db.open();
  const owner = { tenant: newMark('tenant'), userUuid: newMark('user') };
  const session = await commitOne<'session'>(store, sessionOpened(owner));
  const { id } = await commitOne<'fileChange'>(store, fileChangeRequested(session));
  // Stands for a history that takes minutes to read: the view has rows only if the statement has no time limit.
  await db.sql`ALTER TABLE file_changes RENAME TO all_file_changes`;
  await db.sql`
    CREATE VIEW file_changes AS SELECT * FROM all_file_changes
    WHERE current_setting('statement_timeout') = '0'`;
  expect(await queries.heldBy(owner)).toMatchObject({ sessions: 1, fileChanges: 1 });
  expect(await queries.unfinishedOf(owner)).toMatchObject({ sessions: 1, fileChanges: 1 });
  expect(await queries.pendingChangesOf(owner, 2)).toMatchObject([{ id }]);
});
