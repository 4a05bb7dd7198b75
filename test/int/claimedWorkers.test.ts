/**
 * A call that needs a feature of its worker gets only an idle worker that has the feature. A gateway that is not
 * connected to an idle worker asks its agent. The workers are programmed.
 */

import { afterEach, describe, expect, it } from 'vitest';
import { AUTH_TOKEN_HOLDER } from '../../src/service/principal.ts';
import { replaceIdle, useServiceGateways } from '../support/serviceGateways.ts';

/** Far below the 5 s that a call to an agent may take, and far above what the calls take here. */
const SOON_MS = 3_000;

const { db, workers, start, userUuid } = await useServiceGateways({ MIN_IDLE_WORKERS: '3' });
/** Makes the idle workers, and holds them. `other` is not connected to them. */
const maker = await start();
const other = await start();
afterEach(() => {
  workers.frozen.length = 0;
  workers.isFormer = false;
});

const command = (name: string, { service } = other) =>
  service.execute(AUTH_TOKEN_HOLDER, {
    userUuid: `${name}-${userUuid()}`,
    code: 'true',
    language: 'BASH',
    isProcess: true,
  });
const cell = (name: string, { service } = other) =>
  service.execute(AUTH_TOKEN_HOLDER, { userUuid: `${name}-${userUuid()}`, code: '1' });
const idle = async () => (await db.queries.workersInStates(maker.pool.id, ['IDLE'])).map(idOf);
const idOf = ({ id }: { readonly id: string }) => id;

describe('a call that needs a feature of its worker', () => {
  it('gets a worker without asking its agent, at the gateway that is connected to it', async () => {
    workers.frozen.push(...(await replaceIdle(maker, db.queries)).map(idOf));
    const startedAt = performance.now();
    expect(await command('ann', maker)).toMatchObject({ status: 'OK' });
    expect(performance.now() - startedAt).toBeLessThan(SOON_MS);
  });

  it('gets another worker, at another gateway, if the agent of the first does not answer soon', async () => {
    await replaceIdle(maker, db.queries);
    // The worker that is offered first.
    const [first = ''] = (
      await db.queries.idleWorkers(maker.pool.id, { environments: [null], preferred: [], limit: 1 })
    ).map(idOf);
    workers.frozen.push(first);
    const startedAt = performance.now();
    const commands = await Promise.all([command('ann'), command('bob')]);
    // The silent worker is offered to no call for a while.
    const last = await cell('cem');
    expect(performance.now() - startedAt).toBeLessThan(SOON_MS);
    for (const each of [...commands, last]) {
      expect(each.status).toBe('OK');
      expect(each.workerId).not.toBe(first);
    }
    expect(await idle()).toContain(first);
  });

  it('is refused if the image of all workers is too old, and the idle workers stay', async () => {
    workers.isFormer = true;
    const before = (await replaceIdle(maker, db.queries)).map(idOf);
    const refused = {
      code: 'BAD_USER_INPUT',
      message: expect.stringContaining('WORKER_IMAGE names an image of an earlier release'),
    };
    for (const gateway of [maker, other]) {
      await expect(command('ann', gateway)).rejects.toMatchObject(refused);
    }
    expect(await idle()).toEqual(expect.arrayContaining(before));
    expect(await cell('ann')).toMatchObject({ status: 'OK' });
  });
});
