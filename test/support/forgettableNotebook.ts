import type { NotebookId } from '../../src/domain/ids.ts';
import type { Session } from '../../src/domain/session.ts';
import { newId } from '../../src/process/newId.ts';
import { commitOne } from '../../testkit/events.ts';
import type { World } from './forgettable.ts';

/** One that nobody closes. */
export async function openNotebook(
  { gateway: { store }, tenant, userUuid, mark }: World,
  { id }: Session,
) {
  const notebookId = newId<NotebookId>();
  const [path, name] = [mark('notebookPath'), mark('notebook')];
  const data = {
    at: new Date().toISOString(),
    notebookId,
    tenant,
    userUuid,
    path,
    name,
    contextId: id,
  };
  const opened = { type: 'NotebookOpened', data: { ...data, type: 'notebook' } } as const;
  await commitOne(store, { stream: 'notebook', id: notebookId, state: null, events: [opened] });
}
