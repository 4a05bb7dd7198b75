/**
 * The environment variables and the folder of one execution, as callers of the service see them at two gateways. The
 * workers are programmed.
 */

import { describe, expect, it } from 'vitest';
import type { ExecuteRequest } from '../../src/service/execute/validateRequest.ts';
import { AUTH_TOKEN_HOLDER } from '../../src/service/principal.ts';
import { tablesWith } from '../support/database.ts';
import { HOLD } from '../support/programmedRuntime.ts';
import { useServiceGateways } from '../support/serviceGateways.ts';

const VALUES = {
  TOKEN: 's3cret "\\ \' 漢\n\t\u0001\u2028 $HOME %s {}',
  EMPTY: '',
  __proto__x: 'own',
  constructor: 'c',
};
const MAX_BYTES = 65_536;
const GIVEN = given(VALUES);

const { db, workers, start, userUuid } = await useServiceGateways();
const gateways = [await start(), await start()] as const;
const [{ service: one }, { service: other }] = gateways;

function given(values: Readonly<Record<string, string>>) {
  return Object.entries(values).map(([name, value]) => ({ name, value }));
}

const asked = (more: Partial<ExecuteRequest> = {}): ExecuteRequest => ({
  userUuid: userUuid(),
  code: '1',
  environmentVariables: GIVEN,
  workingDirectory: 'a/./b/',
  ...more,
});

describe('the environment variables and the folder of one execution', () => {
  it.each(['PYTHON', 'BASH'] as const)('reach the worker with its code (%s)', async (language) => {
    const session = {
      userUuid: userUuid(),
      environmentVariables: given({ OWN: 's', EMPTY: 's' }),
    };
    await one.openSession(AUTH_TOKEN_HOLDER, session);
    for (const service of [one, other]) {
      const { id, options } = await service.execute(
        AUTH_TOKEN_HOLDER,
        asked({ language, code: 'true' }),
      );
      expect(workers.variables.get(id)).toEqual({ OWN: 's', ...VALUES });
      expect(workers.directories.get(id)).toBe('/home/user/a/b');
      expect(options).toEqual({
        workingDirectory: '/home/user/a/b',
        environmentVariableNames: ['EMPTY', 'TOKEN', '__proto__x', 'constructor'],
      });
      const plain = await service.execute(AUTH_TOKEN_HOLDER, { userUuid: userUuid(), code: '1' });
      expect(workers.variables.get(plain.id)).toEqual({ OWN: 's', EMPTY: 's' });
      expect(workers.directories.get(plain.id)).toBeUndefined();
      expect(plain.options).toBeNull();
    }
  });

  it('are given for each cell of a batch, in the context of the cell', async () => {
    const { id: contextId } = await one.createContext(AUTH_TOKEN_HOLDER, { userUuid: userUuid() });
    const cells = [
      { code: '1', environmentVariables: given({ N: '1' }), contextId },
      { code: 'true', language: 'BASH' as const, workingDirectory: '/' },
      { code: '1' },
    ];
    const done = await other.executeBatch(AUTH_TOKEN_HOLDER, { userUuid: userUuid(), cells });
    expect(done.map(({ id }) => workers.variables.get(id))).toEqual([{ N: '1' }, {}, {}]);
    expect(done.map(({ id }) => workers.directories.get(id))).toEqual([undefined, '/', undefined]);
  });

  it('have their values in one table until the execution has ended, and then in none', async () => {
    const value = 'never in 2nd place';
    workers.hold();
    const held = asked({ code: HOLD, environmentVariables: given({ ONLY_HERE: value }) });
    const running = await one.submit(AUTH_TOKEN_HOLDER, { ...held, idempotencyKey: 'k' });
    const queued = await other.submit(AUTH_TOKEN_HOLDER, held);
    await expect.poll(() => workers.begun.includes(running.id)).toBe(true);
    expect(await tablesWith(db, value)).toEqual(['execution_variables']);
    workers.letGo();
    for (const { id } of [running, queued])
      await expect
        .poll(async () => (await one.execution(AUTH_TOKEN_HOLDER, id))?.status)
        .toBe('OK');
    expect(await tablesWith(db, value)).toEqual([]);
    // The names stay for auditors. The table of keys has them with hashes of the values.
    const named = await tablesWith(db, 'ONLY_HERE');
    expect(named.sort()).toEqual(['events', 'executions', 'idempotency_keys']);
    const [audited] = await db.sql`
      SELECT working_directory, environment_variable_names FROM audit.executions
      WHERE execution_id = ${running.id}`;
    expect(audited).toEqual({
      workingDirectory: '/home/user/a/b',
      environmentVariableNames: ['ONLY_HERE'],
    });
  });

  it('are deleted with a session that ends before the code was sent', async () => {
    const value = 'gone with the session';
    workers.hold();
    await one.submit(AUTH_TOKEN_HOLDER, { userUuid: userUuid(), code: HOLD });
    const queued = await one.submit(
      AUTH_TOKEN_HOLDER,
      asked({ environmentVariables: given({ A: value }) }),
    );
    expect(await tablesWith(db, value)).toEqual(['execution_variables']);
    await other.release(AUTH_TOKEN_HOLDER, userUuid());
    expect(await one.execution(AUTH_TOKEN_HOLDER, queued.id)).toMatchObject({
      status: 'CANCELLED',
    });
    expect(await tablesWith(db, value)).toEqual([]);
    expect(workers.begun).not.toContain(queued.id);
    workers.letGo();
  });

  it('must be the same under the same key; a refusal names each field that differs, and no value', async () => {
    const keyed = asked({ idempotencyKey: 'k' });
    const { id } = await one.execute(AUTH_TOKEN_HOLDER, keyed);
    const same = {
      ...keyed,
      environmentVariables: GIVEN.toReversed(),
      workingDirectory: '/home/user/a/b',
    };
    expect(await other.execute(AUTH_TOKEN_HOLDER, same)).toMatchObject({ id });
    const { TOKEN: _, ...fewer } = VALUES;
    const differing: [Partial<ExecuteRequest>, string[]][] = [
      [{ workingDirectory: null }, ['workingDirectory']],
      [{ workingDirectory: '.' }, ['workingDirectory']],
      [{ environmentVariables: given(fewer) }, ['environmentVariables.TOKEN']],
      [
        { environmentVariables: given({ ...VALUES, TOKEN: 'an0ther', MORE: 'm0re' }) },
        ['environmentVariables.MORE', 'environmentVariables.TOKEN'],
      ],
      [
        { environmentVariables: null, workingDirectory: null, code: '2' },
        [
          'code',
          ...Object.keys(VALUES).map((name) => `environmentVariables.${name}`),
          'workingDirectory',
        ],
      ],
    ];
    for (const [more, different] of differing) {
      const refused = await other
        .execute(AUTH_TOKEN_HOLDER, { ...keyed, ...more })
        .catch((e: unknown) => e);
      expect(refused).toMatchObject({
        code: 'IDEMPOTENCY_CONFLICT',
        details: { different: different.toSorted() },
      });
      expect(JSON.stringify([refused, String(refused)])).not.toMatch(/s3cret|an0ther|m0re/);
    }
  });

  it.each<[string, Partial<ExecuteRequest>]>([
    ['environmentVariables', { environmentVariables: given({ 'A-B': 's3cret' }) }],
    ['environmentVariables', { environmentVariables: given({ '1A': 's3cret' }) }],
    ['environmentVariables', { environmentVariables: given({ A: 's3cret\0' }) }],
    ['environmentVariables', { environmentVariables: given({ A: 's3cret\ud800' }) }],
    [
      'environmentVariables',
      { environmentVariables: given({ A: 's3cret'.repeat(MAX_BYTES / 5) }) },
    ],
    [
      'environmentVariables',
      { environmentVariables: [...given({ A: 's3cret' }), ...given({ A: '' })] },
    ],
    ['workingDirectory', { workingDirectory: '' }],
    ['workingDirectory', { workingDirectory: 'a/../b' }],
    ['workingDirectory', { workingDirectory: 'a\0' }],
    ['workingDirectory', { workingDirectory: `/${'x'.repeat(256)}` }],
  ])('are refused if %s is wrong, before a session is opened', async (field, more) => {
    const calls = [
      one.execute(AUTH_TOKEN_HOLDER, asked(more)),
      one.submit(AUTH_TOKEN_HOLDER, asked({ ...more, language: 'BASH' })),
      one.executeBatch(AUTH_TOKEN_HOLDER, {
        userUuid: userUuid(),
        cells: [{ code: '1' }, asked(more)],
      }),
    ];
    for (const call of calls) {
      const refused = await call.catch((error: unknown) => error);
      expect(refused).toMatchObject({ code: 'BAD_USER_INPUT', details: { field } });
      expect(JSON.stringify([refused, String(refused)])).not.toContain('s3cret');
    }
    expect(await one.session(AUTH_TOKEN_HOLDER, userUuid())).toBeNull();
  });
});
