/** Values of environment variables of one execution are stored with its request, and deleted with its end. */
import { expect, it } from 'vitest';
import type { Execution } from '../../src/domain/execution.ts';
import type { ExecutionId } from '../../src/domain/ids.ts';
import {
  commitOne,
  executionFinished,
  executionRequested,
  onExecution,
} from '../../testkit/events.ts';
import { useDatabase } from '../support/database.ts';

const VALUES = { TOKEN: 'only here', EMPTY: '' };

const db = await useDatabase();
const { store, queries } = await db.open();

async function request(): Promise<Execution> {
  const append = executionRequested({ environmentVariableNames: ['EMPTY', 'TOKEN'] });
  const executionId = append.id as ExecutionId;
  return await commitOne<'execution'>(store, append, {
    executionVariables: { executionId, values: VALUES },
  });
}

it('values are stored until the execution ends, but neither in its events nor in its row', async () => {
  const execution = await request();
  const other = await request();
  expect(await queries.executionVariables(execution.id)).toEqual(VALUES);
  const recorded = [await db.readStream('execution', execution.id), execution];
  expect(JSON.stringify(recorded)).not.toContain('only here');
  expect(execution.options).toEqual({ environmentVariableNames: ['EMPTY', 'TOKEN'] });
  await commitOne(store, onExecution(execution, executionFinished()));
  expect(await queries.executionVariables(execution.id)).toBeNull();
  expect(await queries.executionVariables(other.id)).toEqual(VALUES);
});

it('the upkeep deletes values whose execution is no longer in its table', async () => {
  const execution = await request();
  await db.sql`DELETE FROM executions WHERE id = ${execution.id}`;
  expect(await queries.executionVariables(execution.id)).toEqual(VALUES);
  await queries.deleteLeftOfExecutions();
  expect(await queries.executionVariables(execution.id)).toBeNull();
});

it('a request that is refused leaves no values', async () => {
  const append = executionRequested();
  const executionId = append.id as ExecutionId;
  await commitOne(store, append);
  const commit = { streams: [append], executionVariables: { executionId, values: VALUES } };
  await expect(store.commit(commit)).rejects.toMatchObject({ on: 'stream' });
  expect(await queries.executionVariables(executionId)).toBeNull();
});
