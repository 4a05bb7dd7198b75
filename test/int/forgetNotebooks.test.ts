/** `cellhouse forget` and a notebook that one user has begun, and another goes on with. */
import { beforeEach, expect, it, onTestFinished } from 'vitest';
import type { NotebookId, SessionId } from '../../src/domain/ids.ts';
import type { Notebook, NotebookEvent } from '../../src/domain/notebook.ts';
import { newId } from '../../src/process/newId.ts';
import { commitOne } from '../../testkit/events.ts';
import {
  type Forgettables,
  newMark,
  searchEverywhere,
  useForgettables,
} from '../support/forgettable.ts';

const OF_ANN = [newMark('annPath'), newMark('annName')] as const;
const OF_BOB = [newMark('bobPath'), newMark('bobName')] as const;

let all: Forgettables;
let id: NotebookId;
beforeEach(async () => {
  all = await useForgettables(onTestFinished);
  const { ann, bob, gateway } = all;
  id = newId<NotebookId>();
  const facts = (userUuid: string, [path, name]: readonly [string, string]) => ({
    ...{ at: new Date().toISOString(), userUuid, path, name, type: 'notebook' as const },
    contextId: newId<SessionId>(),
  });
  const commit = (state: Notebook | null, event: NotebookEvent) =>
    commitOne<'notebook'>(gateway.store, { stream: 'notebook', id, state, events: [event] });
  const data = { ...facts(ann.userUuid, OF_ANN), notebookId: id, tenant: ann.tenant };
  const opened = await commit(null, { type: 'NotebookOpened', data });
  await commit(opened, { type: 'NotebookChanged', data: facts(bob.userUuid, OF_BOB) });
});

const usersOf = async () => {
  const events = await all.db.readStream('notebook', id);
  return events.map(({ event }) => (event.data as { userUuid: string }).userUuid);
};

it('forgetting the first user of a notebook leaves nothing of that user in it, and everything of the second', async () => {
  const { ann, bob, db, gateway, forgetAnn, expectIntact } = all;
  const before = await gateway.queries.notebook(id);
  await forgetAnn();
  expect(await searchEverywhere(db, [...OF_ANN, ...ann.marks])).toEqual([]);
  expect(await usersOf()).toEqual([expect.stringMatching(/^forgotten-/), bob.userUuid]);
  expect(await gateway.queries.notebook(id)).toEqual(before);
  await expectIntact();
});

it('forgetting the second user of a notebook leaves nothing of that user in it, and everything of the first', async () => {
  const { ann, bob, db, run, forgetAnn, expectIntact } = all;
  await run('--user', bob.userUuid, '--tenant', bob.tenant);
  expect(await searchEverywhere(db, [...OF_BOB, ...bob.marks, bob.userUuid])).toEqual([]);
  expect(await usersOf()).toEqual([ann.userUuid, expect.stringMatching(/^forgotten-/)]);
  await expectIntact();
  await forgetAnn();
  expect(await searchEverywhere(db, OF_ANN)).toEqual([]);
  await expectIntact();
});
