/** Changes of one notebook by several callers at the same time. */
import { expect, it } from 'vitest';
import { AUTH_TOKEN_HOLDER } from '../../src/service/principal.ts';
import { commitOne, contextCreated, sessionOpened } from '../../testkit/events.ts';
import { useDatabase } from '../support/database.ts';
import { databaseService } from '../support/serviceGateways.ts';

const db = await useDatabase();
const gateway = await db.open();
const service = databaseService(gateway);

it('keeps both a new path and a new context that are given at the same time', async () => {
  const { store } = gateway;
  const session = await commitOne<'session'>(store, sessionOpened({ userUuid: 'ann' }));
  const context = await commitOne<'context'>(store, contextCreated(session));
  const { id } = await service.openNotebook(AUTH_TOKEN_HOLDER, {
    path: 'first.ipynb',
    name: 'first',
    type: 'notebook',
    contextId: session.id,
  });
  // From round to round, the one or the other change is committed first.
  for (const [round, contextId] of Array.from({ length: 10 }, (_, n) =>
    n % 2 === 0 ? ([n, context.id] as const) : ([n, session.id] as const),
  )) {
    const path = `round-${round}.ipynb`;
    const changes = [{ path }, { contextId }];
    if (round > 4) changes.reverse();
    await Promise.all(
      changes.map((change) => service.changeNotebook(AUTH_TOKEN_HOLDER, id, change)),
    );
    expect(await gateway.queries.notebook(id)).toMatchObject({ path, contextId });
  }
});
