/**
 * A session's environment variables: where they are stored, where they never are, and which gateway sends them to the
 * worker.
 */

import { beforeEach, expect, it } from 'vitest';
import { AUTH_TOKEN_HOLDER } from '../../src/service/principal.ts';
import { until } from '../../testkit/until.ts';
import { tablesWith } from '../support/database.ts';
import { useServiceGateways } from '../support/serviceGateways.ts';

const SECRET = 's3cret-value "\\ 漢\n';
const VARIABLES = { TOKEN: SECRET, LD_PRELOAD: '/tmp/x.so', EMPTY: '' };
const GIVEN = Object.entries(VARIABLES).map(([name, value]) => ({ name, value }));

const { db, workers, start, userUuid } = await useServiceGateways();
const first = await start();
const second = await start();
beforeEach(() => {
  workers.variablesStatus = null;
});

const open = (given = GIVEN, { service } = first) =>
  service.openSession(AUTH_TOKEN_HOLDER, { userUuid: userUuid(), environmentVariables: given });
const run = (code = '1', { service } = first) =>
  service.execute(AUTH_TOKEN_HOLDER, { userUuid: userUuid(), code });
const stored = (id: string) =>
  db.sql<{ name: string; value: string }[]>`
    SELECT name, value FROM session_variables WHERE session_id = ${id} ORDER BY name`;

it('the kernel has the variables before any code, even the code of calls at the same time', async () => {
  workers.variablesStatus = 500;
  const session = await open();
  expect(session.environmentVariableNames).toEqual(['EMPTY', 'LD_PRELOAD', 'TOKEN']);
  const running = Promise.all([run(), run('2', second), run('3')]);
  await until('requests of the code', async () => {
    const [row] = await db.sql`
      SELECT 1 FROM executions WHERE session_id = ${session.id} HAVING count(*) = 3`;
    return row;
  });
  // Until now, the agent has not accepted the variables.
  workers.variablesStatus = null;
  for (const { id, status } of await running) {
    expect(status).toBe('OK');
    expect(workers.variables.get(id)).toEqual(VARIABLES);
  }
});

it('the values are in one table while the session is open, and in no table afterwards', async () => {
  const given = [{ name: 'ONLY_HERE', value: 'never in 2nd place' }];
  const { id } = await open(given);
  await run();
  expect(await stored(id)).toEqual(given);
  expect(await tablesWith(db, 'never in 2nd place')).toEqual(['session_variables']);
  await first.service.release(AUTH_TOKEN_HOLDER, userUuid());
  expect(await stored(id)).toEqual([]);
  expect(await tablesWith(db, 'never in 2nd place')).toEqual([]);
  // The names stay, for auditors.
  expect((await tablesWith(db, 'ONLY_HERE')).sort()).toEqual(['events', 'sessions']);
});

it('the same variables return the same session; the refusal of others contains only names', async () => {
  const { id } = await open();
  expect(await open(GIVEN.toReversed(), second)).toMatchObject({ id });
  const other = [
    { name: 'TOKEN', value: 'an0ther' },
    { name: 'MORE', value: 'm0re' },
    { name: 'EMPTY', value: '' },
  ];
  const refused = await open(other, second).catch((error: unknown) => error);
  expect(refused).toMatchObject({
    code: 'SESSION_OPTIONS_DIFFER',
    details: {
      options: [
        'environmentVariables.LD_PRELOAD',
        'environmentVariables.MORE',
        'environmentVariables.TOKEN',
      ],
    },
  });
  expect(JSON.stringify([refused, String(refused)])).not.toMatch(/s3cret|an0ther|m0re/);
});

it('another gateway that takes the worker over sends the variables before any code', async () => {
  const holder = await start();
  workers.variablesStatus = 500;
  const { id } = await open(GIVEN, holder);
  const { id: accepted } = await holder.service.submit(AUTH_TOKEN_HOLDER, {
    userUuid: userUuid(),
    code: '1',
  });
  await holder.close();
  workers.variablesStatus = null;
  const after = await run('after', second);
  expect(after).toMatchObject({ sessionId: id, status: 'OK', stateLost: false });
  for (const code of [accepted, after.id]) expect(workers.variables.get(code)).toEqual(VARIABLES);
});

it('a worker that is to be ended stays if another gateway has opened a session with it meanwhile', async () => {
  const { id, workerId } = await open();
  const worker = await db.queries.worker(workerId);
  if (!worker) throw new Error('The session has no worker.');
  await first.pool.retireIdle(worker);
  expect(await first.service.session(AUTH_TOKEN_HOLDER, userUuid())).toMatchObject({
    id,
    closedAt: null,
  });
  expect((await run()).sessionId).toBe(id);
});

it('the upkeep deletes values whose session is no longer in its table', async () => {
  const { id } = await open();
  await db.sql`DELETE FROM sessions WHERE id = ${id}`;
  expect(await stored(id)).toHaveLength(3);
  await db.queries.deleteLeftOfSessions();
  expect(await stored(id)).toEqual([]);
});
