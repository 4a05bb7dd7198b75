/** Which engine an installation uses, and when that engine may be away. */
import { expect, it, onTestFinished } from 'vitest';
import { poolOfEngine } from '../../src/pool/poolOfEngine.ts';
import { RuntimeError } from '../../src/runtime/runtime.ts';
import { useDatabase } from '../support/database.ts';

const engine = (id: string) => ({ id, keepsContainers: true, ociRuntimes: ['runc'] });
const AWAY = new RuntimeError('engine-away', 'The Docker engine does not answer (ENOENT).');

async function openQueries() {
  const database = await useDatabase(onTestFinished);
  const { queries } = await database.open();
  return (ask: () => Promise<ReturnType<typeof engine>>, mayBeAway = true) =>
    poolOfEngine(queries, { ask, address: '/docker.sock', mayBeAway });
}

it('the engine must answer at the very first start', async () => {
  const pool = await openQueries();
  const sentence = /^The Docker engine at \/docker\.sock does not answer \(.*ENOENT.*\)\. Start it/;
  await expect(pool(() => Promise.reject(AWAY))).rejects.toThrow(sentence);
  await expect(pool(() => Promise.reject(AWAY))).rejects.toThrow(sentence);
});

it('the engine may be away later, but only for callers that can do without it', async () => {
  const pool = await openQueries();
  const made = await pool(async () => engine('e1'));
  expect(made).toEqual({ poolId: made.poolId, engineId: 'e1', engine: engine('e1') });
  expect(await pool(() => Promise.reject(AWAY))).toEqual({ ...made, engine: null });
  await expect(pool(() => Promise.reject(AWAY), false)).rejects.toThrow('Start it');
});

it('an engine that refuses the connection does not count as away', async () => {
  const pool = await openQueries();
  await pool(async () => engine('e1'));
  const refused = () => Promise.reject(new Error('connect EACCES /docker.sock'));
  const sentence =
    'The Docker engine at /docker.sock cannot be used (connect EACCES /docker.sock). Make sure that this user may use it, or set DOCKER_HOST.';
  await expect(pool(refused)).rejects.toThrow(sentence);
  await expect(pool(refused, false)).rejects.toThrow(sentence);
});

it.each([true, false])('another engine is always refused (may be away: %s)', async (mayBeAway) => {
  const pool = await openQueries();
  await pool(async () => engine('e1'));
  await expect(pool(async () => engine('e2'), mayBeAway)).rejects.toThrow(
    "This installation's workers are on the Docker engine e1; the one at /docker.sock is e2.",
  );
});
